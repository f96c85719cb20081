// openloop: sends requests on a schedule, whether or not earlier ones were answered. A closed loop (ab, wrk)
// stops asking while a server hangs, and so hides the outage; this one counts every request that was due.
#include <getopt.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "tests/deployment/openloop_generator.h"
#include "tests/deployment/openloop_report.h"
#include "tests/deployment/openloop_request.h"

namespace openloop {
namespace {

constexpr const char kUsage[] =
    "usage: openloop [option...] http://ADDRESS:PORT/PATH\n"
    "  --rate R          requests a second (100)\n"
    "  --seconds S       how long (10)\n"
    "  --host NAME       Host header (the address)\n"
    "  --method M        GET\n"
    "  --keep-alive      use connections again\n"
    "  --timeout S       a request fails after so long (30)\n"
    "  --max-open N      requests in flight at most; a request beyond fails as \"refused by openloop\" "
    "(10000)\n"
    "  --log FILE        one line a request: number, due ms, latency ms, status or error\n"
    "  --live            one line a second on standard output: second, requests, failures, mean ms, max ms\n"
    "The last line on standard output is a JSON summary. Latency counts from when a request was due.\n"
    "exit status: 0 all answered with 2xx or 3xx, 1 not all, 2 wrong usage\n";

int Usage(const char* message) {
  fprintf(stderr, "openloop: %s\n%s", message, kUsage);
  return 2;
}

int Main(int argc, char** argv) {
  static const option kOptions[] = {{"rate", required_argument, nullptr, 'r'},
                                    {"seconds", required_argument, nullptr, 's'},
                                    {"host", required_argument, nullptr, 'H'},
                                    {"method", required_argument, nullptr, 'm'},
                                    {"keep-alive", no_argument, nullptr, 'k'},
                                    {"timeout", required_argument, nullptr, 't'},
                                    {"max-open", required_argument, nullptr, 'o'},
                                    {"log", required_argument, nullptr, 'l'},
                                    {"live", no_argument, nullptr, 'L'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {nullptr, 0, nullptr, 0}};
  Options options;
  std::string log;
  bool live = false;
  for (int c = 0; (c = getopt_long(argc, argv, "h", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'r':
        options.rate = atof(optarg);
        break;
      case 's':
        options.seconds = atof(optarg);
        break;
      case 'H':
        options.host = optarg;
        break;
      case 'm':
        options.method = optarg;
        break;
      case 'k':
        options.keep_alive = true;
        break;
      case 't':
        options.timeout = static_cast<Nanos>(atof(optarg) * 1e9);
        break;
      case 'o':
        options.max_open = static_cast<uint64_t>(atoll(optarg));
        break;
      case 'l':
        log = optarg;
        break;
      case 'L':
        live = true;
        break;
      case 'h':
        fputs(kUsage, stdout);
        return 0;
      default:
        return 2;
    }
  }
  if (optind + 1 != argc) return Usage("one URL is needed");
  if (!options.SetUrl(argv[optind]))
    return Usage("the URL must be http://ADDRESS:PORT/PATH, ADDRESS numeric");
  if (options.rate <= 0 || options.seconds <= 0 || options.rate * options.seconds > 1e7) {
    return Usage("--rate and --seconds must be positive, and 10 million requests at most");
  }
  PrepareProcess();
  Report report(log, live);
  Generator(std::move(options), &report).Run();
  return report.Finish() ? 0 : 1;
}

}  // namespace
}  // namespace openloop

int main(int argc, char** argv) { return openloop::Main(argc, argv); }
