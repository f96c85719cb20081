// fc-proxy: a reverse proxy for HTTP/1.1 that asks the library for every request where its container runs.
#include <getopt.h>
#include <uv.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string>

#include "examples/proxy/config.h"
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
    "         HUP         open the log file again\n"
    "exit status: 0 ended by a signal, 1 failed, 2 wrong usage or configuration\n"
    "\"ready\" is printed to standard error when it serves, as are the library's messages.\n";

struct Arguments {
  std::string config;
  bool with_dispatcher = false;
  bool check = false;
};

// The exit status, if it ends here.
std::optional<int> Parse(int argc, char** argv, Arguments* arguments) {
  static const option kOptions[] = {
      {"config", required_argument, nullptr, 'c'}, {"with-dispatcher", no_argument, nullptr, 'd'},
      {"check", no_argument, nullptr, 'k'},        {"help", no_argument, nullptr, 'h'},
      {"version", no_argument, nullptr, 'v'},      {nullptr, 0, nullptr, 0}};
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

int Serve(const proxy::Config& config, bool with_dispatcher) {
  std::signal(SIGPIPE, SIG_IGN);
  uv_loop_t* loop = uv_default_loop();
  // Handles live until the loop has closed them, so the server outlives Run().
  proxy::Server server(loop, config);
  std::string error;
  if (!server.Start(with_dispatcher, &error)) {
    std::fprintf(stderr, "fc-proxy: %s\n", error.c_str());
    server.CloseHandles();
    return 1;
  }
  std::fputs("ready\n", stderr);
  return server.Run();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const auto status = Parse(argc, argv, &arguments)) return *status;
  std::string error;
  const auto config = proxy::ReadConfig(arguments.config, &error);
  if (config && arguments.with_dispatcher && !config->dispatcher) {
    error = arguments.config + ": dispatcher: is required with --with-dispatcher";
  }
  if (!error.empty()) {
    std::fprintf(stderr, "fc-proxy: %s\n", error.c_str());
    return 2;
  }
  if (arguments.check) return 0;
  return Serve(*config, arguments.with_dispatcher);
}
