// openloop: sends requests on a schedule, whether or not earlier ones were answered. A closed loop (ab, wrk)
// stops asking while a server hangs, and so hides the outage; this one counts every request that was due.
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

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

class Generator {
 public:
  Generator(Options options, Report* report)
      : options_(std::move(options)), report_(report), loop_(epoll_create1(EPOLL_CLOEXEC)) {}
  ~Generator() { close(loop_); }

  void Run() {
    const auto total = static_cast<uint64_t>(options_.rate * options_.seconds);
    const double interval = 1e9 / options_.rate;
    const Nanos begin = Now();
    report_->Begin(begin);
    uint64_t sent = 0;
    while (sent < total || open_ > 0) {
      Nanos now = Now();
      Nanos due = begin + static_cast<Nanos>(static_cast<double>(sent) * interval);
      while (sent < total && due <= now) {
        Send(sent, due);
        ++sent;
        due = begin + static_cast<Nanos>(static_cast<double>(sent) * interval);
      }
      Wait(sent < total ? due : now + kSecond / 10);
      Expire();
      report_->Tick(Now());
    }
  }

 private:
  void Send(uint64_t number, Nanos due) {
    if (open_ >= options_.max_open) return report_->Done(number, due, Now(), "refused by openloop");
    if (idle_requests_.empty()) {
      requests_.push_back(std::make_unique<Request>(loop_, requests_.size(), options_));
      idle_requests_.push_back(requests_.back().get());
    }
    Request* request = idle_requests_.back();
    idle_requests_.pop_back();
    ++open_;
    if (request->Start(number, due)) Finish(request);
  }

  void Finish(Request* request) {
    report_->Done(request->number(), request->due(), Now(), request->outcome());
    --open_;
    idle_requests_.push_back(request);
  }

  void Wait(Nanos until) {
    epoll_event events[256];
    const Nanos now = Now();
    timespec timeout{};
    if (until > now) {
      timeout.tv_sec = static_cast<time_t>((until - now) / kSecond);
      timeout.tv_nsec = static_cast<long>((until - now) % kSecond);
    }
    const int count = epoll_pwait2(loop_, events, 256, &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      Request* request = requests_[events[i].data.u64].get();
      if (request->OnReady(events[i].events)) Finish(request);
    }
  }

  // Looked at ten times a second: the time-out of a request is a bound on the run, not a measurement.
  void Expire() {
    const Nanos now = Now();
    if (now < next_expiry_) return;
    next_expiry_ = now + kSecond / 10;
    for (auto& request : requests_) {
      if (request->busy() && now > request->due() + options_.timeout) {
        request->GiveUp("timeout");
        Finish(request.get());
      }
    }
  }

  Options options_;
  Report* report_;
  int loop_;
  std::vector<std::unique_ptr<Request>> requests_;
  std::vector<Request*> idle_requests_;
  uint64_t open_ = 0;
  Nanos next_expiry_ = 0;
};

bool ParseUrl(const std::string& url, Options* options) {
  const std::string scheme = "http://";
  if (url.rfind(scheme, 0) != 0) return false;
  const size_t slash = url.find('/', scheme.size());
  const std::string authority = url.substr(scheme.size(), slash - scheme.size());
  const size_t colon = authority.rfind(':');
  if (colon == std::string::npos) return false;
  options->path = slash == std::string::npos ? "/" : url.substr(slash);
  if (options->host.empty()) options->host = authority;
  return options->SetAddress(authority.substr(0, colon), authority.substr(colon + 1));
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
  if (!ParseUrl(argv[optind], &options))
    return Usage("the URL must be http://ADDRESS:PORT/PATH, ADDRESS numeric");
  if (options.rate <= 0 || options.seconds <= 0 || options.rate * options.seconds > 1e7) {
    return Usage("--rate and --seconds must be positive, and 10 million requests at most");
  }
  signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Report report(log, live);
  Generator(std::move(options), &report).Run();
  return report.Finish() ? 0 : 1;
}

}  // namespace
}  // namespace openloop

int main(int argc, char** argv) { return openloop::Main(argc, argv); }
