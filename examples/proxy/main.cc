// fc-proxy: a reverse proxy for HTTP/1.1 that asks the library for every request where its container runs.
#include <fcntl.h>
#include <getopt.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "examples/proxy/config.h"
#include "examples/proxy/handover.h"
#include "examples/proxy/listeners.h"
#include "examples/proxy/master.h"
#include "examples/proxy/server.h"
#include "fastcontainer.h"

namespace {

constexpr const char kUsage[] =
    "fc-proxy: a reverse proxy that finds, starts and moves the container of each request's host.\n"
    "\n"
    "usage: fc-proxy --config FILE [option...]\n"
    "  --config FILE       the configuration, one JSON object (see examples/proxy/README.md); - is standard "
    "input\n"
    "  --with-dispatcher   be the dispatcher of this host, too (field \"dispatcher\")\n"
    "  --check             only check the configuration\n"
    "  --help, --version\n"
    "\n"
    "signals: TERM, INT   stop accepting, let requests end, exit; a second one exits at once\n"
    "         QUIT        the same for a process that another has relieved: /healthz is the other's\n"
    "         HUP         open the log file again, read the cluster key file\n"
    "exit status: 0 ended by a signal, 1 failed, 2 wrong usage or configuration\n"
    "\"ready\" is printed to standard error when it serves, as are the library's messages.\n";

struct Arguments {
  std::string config;
  bool with_dispatcher = false;
  bool check = false;
  // Of a worker that the master starts: its number, and how many descriptors it has: standard input, output
  // and error, one to say on that it serves, and its sockets.
  std::optional<uint32_t> worker;
  int descriptors = 0;
};

// The exit status, if it ends here.
std::optional<int> Parse(int argc, char** argv, Arguments* arguments) {
  static const option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                    {"with-dispatcher", no_argument, nullptr, 'd'},
                                    {"check", no_argument, nullptr, 'k'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {"version", no_argument, nullptr, 'v'},
                                    {"worker", required_argument, nullptr, 'w'},
                                    {"descriptors", required_argument, nullptr, 'n'},
                                    {nullptr, 0, nullptr, 0}};
  for (int found; (found = getopt_long(argc, argv, "c:h", kOptions, nullptr)) != -1;) {
    switch (found) {
      case 'c':
        arguments->config = optarg;
        break;
      case 'd':
        arguments->with_dispatcher = true;
        break;
      case 'k':
        arguments->check = true;
        break;
      case 'w':
        arguments->worker = static_cast<uint32_t>(std::atoi(optarg));
        break;
      case 'n':
        arguments->descriptors = std::atoi(optarg);
        break;
      case 'h':
        std::fputs(kUsage, stdout);
        return 0;
      case 'v':
        std::printf("fc-proxy %s\n", fc_version());
        return 0;
      default:
        return 2;
    }
  }
  if (!arguments->config.empty() && optind == argc) return std::nullopt;
  std::fputs("fc-proxy: --config FILE is required, and nothing else (see --help)\n", stderr);
  return 2;
}

// The sockets that were inherited, and those that are missing, divided among the workers.
bool OpenSockets(const proxy::Config& config, std::vector<int> inherited,
                 std::vector<proxy::Sockets>* workers, std::string* error) {
  std::vector<int> clients;
  if (!proxy::OpenListeners("listen", config.listen, config.workers, &inherited, &clients, error))
    return false;
  workers->resize(config.workers);
  for (size_t i = 0; i < clients.size(); ++i) (*workers)[i % config.workers].clients.push_back(clients[i]);
  if (config.admin.ss_family == AF_UNSPEC) return true;
  for (uint32_t i = 0; i < config.workers; ++i) {
    std::vector<int> admin;
    if (!proxy::OpenListeners("admin", proxy::ForWorker(config, i).admin, 1, &inherited, &admin, error))
      return false;
    (*workers)[i].admin = admin.front();
  }
  return true;
}

// `serves` is called when it does.
int Serve(const proxy::Config& config, const proxy::Sockets& sockets, bool with_dispatcher,
          const std::function<void(proxy::Server&)>& serves) {
  uv_loop_t* loop = uv_default_loop();
  // Handles live until the loop has closed them, so the server outlives Run().
  proxy::Server server(loop, config);
  std::string error;
  if (!server.Start(sockets, with_dispatcher, &error)) {
    std::fprintf(stderr, "fc-proxy: %s\n", error.c_str());
    server.CloseHandles();
    return 1;
  }
  serves(server);
  return server.Run();
}

int ServeAsWorker(const proxy::Config& config, const Arguments& arguments) {
  // If the master dies, drain: a new one has other workers.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  constexpr int kTold = STDERR_FILENO + 1;
  std::vector<int> inherited;
  for (int i = kTold; i < arguments.descriptors; ++i) {
    fcntl(i, F_SETFD, FD_CLOEXEC);
    if (i > kTold) inherited.push_back(i);
  }
  const proxy::Config own = proxy::ForWorker(config, *arguments.worker);
  proxy::Sockets sockets;
  if (own.admin.ss_family != AF_UNSPEC) {
    sockets.admin = inherited.back();
    inherited.pop_back();
  }
  sockets.clients = std::move(inherited);
  return Serve(own, sockets, arguments.with_dispatcher && *arguments.worker == 0, [](proxy::Server&) {
    if (write(kTold, "", 1) != 1) std::raise(SIGTERM);  // the master died before prctl()
    close(kTold);
  });
}

int ServeAlone(const proxy::Config& config, const proxy::Sockets& sockets, bool with_dispatcher,
               proxy::Predecessor* predecessor) {
  return Serve(proxy::ForWorker(config, 0), sockets, with_dispatcher, [&](proxy::Server& server) {
    server.Offer(sockets);
    std::fputs("ready\n", stderr);
    predecessor->Relieve();
  });
}

int ServeAll(const proxy::Config& config, const Arguments& arguments) {
  std::string error;
  proxy::Predecessor predecessor;
  std::vector<int> inherited;
  std::vector<proxy::Sockets> sockets;
  if ((!config.takeover.empty() && !predecessor.Ask(config.takeover, &inherited, &error)) ||
      !OpenSockets(config, std::move(inherited), &sockets, &error)) {
    std::fprintf(stderr, "fc-proxy: %s\n", error.c_str());
    return 1;
  }
  if (config.workers == 1)
    return ServeAlone(config, sockets.front(), arguments.with_dispatcher, &predecessor);
  std::vector<std::string> command = {"fc-proxy", "--config", arguments.config};
  if (arguments.with_dispatcher) command.push_back("--with-dispatcher");
  return proxy::Master(uv_default_loop(), config, std::move(command)).Run(std::move(sockets), &predecessor);
}

// Nothing: it may serve so.
std::string WhatForbids(const proxy::Config& config, const Arguments& arguments) {
  if (arguments.with_dispatcher && !config.dispatcher)
    return "dispatcher: is required with --with-dispatcher";
  if (arguments.with_dispatcher && !config.takeover.empty())
    return "takeover: excludes --with-dispatcher: a host has one dispatcher at a time; use fc-dispatcher";
  if (config.workers > 1 && arguments.config == "-")
    return "workers: only 1 with a configuration from standard input, which can be read only once";
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const auto status = Parse(argc, argv, &arguments)) return *status;
  std::string error;
  const auto config = proxy::ReadConfig(arguments.config, &error);
  if (config) {
    const std::string forbids = WhatForbids(*config, arguments);
    if (!forbids.empty()) error = arguments.config + ": " + forbids;
  }
  if (!error.empty()) {
    std::fprintf(stderr, "fc-proxy: %s\n", error.c_str());
    return 2;
  }
  if (arguments.check) return 0;
  std::signal(SIGPIPE, SIG_IGN);
  return arguments.worker ? ServeAsWorker(*config, arguments) : ServeAll(*config, arguments);
}
