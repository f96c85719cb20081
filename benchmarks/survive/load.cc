// survive_load: one load of benchmarks/survive, with a ledger of every request.
#include <getopt.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/survive/ledger.h"
#include "benchmarks/survive/websocket.h"
#include "tests/deployment/openloop_generator.h"

namespace survive {
namespace {

constexpr const char kUsage[] =
    "usage: survive_load [option...] http://ADDRESS:PORT/PATH\n"
    "  --clients N       a closed loop of so many (default: an open loop)\n"
    "  --rate R          an open loop's requests a second (100)\n"
    "  --websocket MS    the clients are WebSockets that send a text so often\n"
    "  --seconds S       how long (10)\n"
    "  --host NAME       Host header (the address)\n"
    "  --post BYTES      POST with a body of so many bytes; {n} in the path is the request's number\n"
    "  --post-file FILE,TYPE   POST with this body; the same holds there\n"
    "  --keep-alive      use connections again\n"
    "  --timeout S       a user gives up after so long (30)\n"
    "  --expect FILE     what each answer's body must be\n"
    "  --ledger FILE     one line a request\n"
    "Prints `begin NANOSECONDS` (CLOCK_MONOTONIC), and at the end a JSON summary.\n";

struct Load {
  openloop::Options options;
  Nanos websocket_interval = 0;
  std::string ledger = "/dev/null";
};

void RunWebSockets(const Load& load, Ledger* ledger) {
  const int loop = epoll_create1(EPOLL_CLOEXEC);
  uint64_t numbers = 0;
  std::vector<std::unique_ptr<WebSocket>> clients;
  for (uint64_t i = 0; i < load.options.clients; ++i) {
    clients.push_back(
        std::make_unique<WebSocket>(loop, i, load.options, load.websocket_interval, &numbers, ledger));
  }
  const Nanos begin = openloop::Now();
  const Nanos end = begin + static_cast<Nanos>(load.options.seconds * 1e9);
  ledger->Begin(begin);
  for (;;) {
    const Nanos now = openloop::Now();
    bool waiting = false;
    Nanos next = now + openloop::kSecond / 10;
    for (auto& client : clients) {
      // Past the end only what is under way is waited for.
      if (now < end || client->waiting()) next = std::min(next, client->Advance(now));
      waiting = waiting || client->waiting();
    }
    if (now >= end && !waiting) break;
    const Nanos left = std::max<Nanos>(0, next - openloop::Now());
    const timespec timeout = {left / openloop::kSecond, left % openloop::kSecond};
    epoll_event events[64];
    const int count = epoll_pwait2(loop, events, 64, &timeout, nullptr);
    for (int i = 0; i < count; ++i) clients[events[i].data.u64]->OnReady();
  }
  clients.clear();
  close(loop);
}

bool ReadFile(const std::string& name, std::string* text) {
  FILE* file = fopen(name.c_str(), "rb");
  if (file == nullptr) return false;
  char buffer[65536];
  for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, file)) > 0;) text->append(buffer, n);
  return fclose(file) == 0;
}

bool ExpectFile(const char* name, openloop::Options* options) {
  std::string text;
  if (!ReadFile(name, &text)) return false;
  options->expect_bytes = text.size();
  options->expect_digest = XXH3_64bits(text.data(), text.size());
  options->check_body = true;
  return true;
}

bool PostFile(const std::string& argument, openloop::Options* options) {
  const size_t comma = argument.rfind(',');
  if (comma == std::string::npos || !ReadFile(argument.substr(0, comma), &options->body)) return false;
  options->method = "POST";
  options->body_type = argument.substr(comma + 1);
  return true;
}

bool Parse(int argc, char** argv, Load* load) {
  static const option kOptions[] = {
      {"clients", required_argument, nullptr, 'c'},   {"rate", required_argument, nullptr, 'r'},
      {"websocket", required_argument, nullptr, 'w'}, {"seconds", required_argument, nullptr, 's'},
      {"host", required_argument, nullptr, 'H'},      {"post", required_argument, nullptr, 'p'},
      {"post-file", required_argument, nullptr, 'P'}, {"keep-alive", no_argument, nullptr, 'k'},
      {"timeout", required_argument, nullptr, 't'},   {"expect", required_argument, nullptr, 'e'},
      {"ledger", required_argument, nullptr, 'l'},    {nullptr, 0, nullptr, 0}};
  openloop::Options& options = load->options;
  for (int c = 0; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'c':
        options.clients = strtoull(optarg, nullptr, 10);
        break;
      case 'r':
        options.rate = atof(optarg);
        break;
      case 'w':
        load->websocket_interval = static_cast<Nanos>(atof(optarg) * 1e6);
        break;
      case 's':
        options.seconds = atof(optarg);
        break;
      case 'H':
        options.host = optarg;
        break;
      case 'p':
        options.method = "POST";
        options.body.assign(strtoull(optarg, nullptr, 10), 'x');
        break;
      case 'P':
        if (!PostFile(optarg, &options)) return false;
        break;
      case 'k':
        options.keep_alive = true;
        break;
      case 't':
        options.timeout = static_cast<Nanos>(atof(optarg) * 1e9);
        break;
      case 'e':
        if (!ExpectFile(optarg, &options)) return false;
        break;
      case 'l':
        load->ledger = optarg;
        break;
      default:
        return false;
    }
  }
  if (optind + 1 != argc) return false;
  options.numbered = (argv[optind] + options.body).find("{n}") != std::string::npos;
  return options.SetUrl(argv[optind]) && options.seconds > 0 && options.rate > 0;
}

int Main(int argc, char** argv) {
  Load load;
  if (!Parse(argc, argv, &load)) {
    fputs(kUsage, stderr);
    return 2;
  }
  openloop::PrepareProcess();
  FILE* file = fopen(load.ledger.c_str(), "w");
  if (file == nullptr) {
    perror(load.ledger.c_str());
    return 1;
  }
  setvbuf(file, nullptr, _IOFBF, 1 << 20);
  Ledger ledger(file);
  if (load.websocket_interval > 0) {
    RunWebSockets(load, &ledger);
  } else {
    openloop::Generator(load.options, &ledger).Run();
  }
  ledger.Finish();
  return fclose(file) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace survive

int main(int argc, char** argv) { return survive::Main(argc, argv); }
