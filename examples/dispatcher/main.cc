// fc-dispatcher: a host's daemon. It makes an engine and a dispatcher and drives both by one poll loop.
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "examples/dispatcher/config.h"
#include "fastcontainer.h"

namespace {

constexpr const char kUsage[] =
    "fc-dispatcher: starts and stops the containers of this host.\n"
    "\n"
    "usage: fc-dispatcher --config FILE [option...]\n"
    "  --config FILE         the configuration, one JSON object (see examples/dispatcher/README.md)\n"
    "  --cmdb URL            as the field cmdb\n"
    "  --host NAME           as the field host\n"
    "  --address ADDRESS     as the field address\n"
    "  --state FOLDER        as the field state_directory\n"
    "  --log-level LEVEL     debug, info, warning or error\n"
    "  --drain-on-term       SIGTERM stops all containers too\n"
    "  --check               only check the configuration\n"
    "  --help, --version\n"
    "\n"
    "signals: TERM   exit; containers go on running and the next fc-dispatcher adopts them\n"
    "         INT, USR1   drain: let requests end, stop all containers, exit\n"
    "exit status: 0 ended by a signal, 1 failed, 2 wrong usage or configuration\n"
    "\"ready\" is printed to standard output when it serves; the log goes to standard error.\n";

struct Daemon {
  int32_t log_level = FC_LOG_INFO;
  fc_engine* engine = nullptr;
  fc_dispatcher* dispatcher = nullptr;
  bool draining = false;
  bool over = false;
  int status = 0;
};

fc_str Str(const std::string& text) { return {text.data(), text.size()}; }

void Log(void* user_data, int32_t level, fc_str component, fc_str message) {
  static const char* const kNames[] = {"debug", "info", "warning", "error"};
  if (level < static_cast<Daemon*>(user_data)->log_level || level < FC_LOG_DEBUG || level > FC_LOG_ERROR)
    return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char stamp[32];
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  fprintf(stderr, "%s.%03ldZ %s %.*s: %.*s\n", stamp, now.tv_nsec / 1000000, kNames[level],
          static_cast<int>(component.length), component.data, static_cast<int>(message.length), message.data);
}

void LogOwn(Daemon* daemon, int32_t level, const std::string& message) {
  Log(daemon, level, Str("daemon"), Str(message));
}

void OnReady(void* user_data, int32_t code, const fc_error* error) {
  auto* daemon = static_cast<Daemon*>(user_data);
  if (code == FC_OK) {
    puts("ready");
    fflush(stdout);
    return;
  }
  if (code != FC_E_SHUTDOWN) fprintf(stderr, "fc-dispatcher: %s\n", error->message);
  daemon->status = 1;
  daemon->over = true;
}

void OnDrained(void* user_data, int32_t code, const fc_error* error) {
  auto* daemon = static_cast<Daemon*>(user_data);
  if (code != FC_OK && code != FC_E_SHUTDOWN) {
    LogOwn(daemon, FC_LOG_ERROR, std::string("drain: ") + error->message);
    daemon->status = 1;
  }
  daemon->over = true;
}

// 0, or the exit status for a usage that ends here; -1: go on.
int ParseArguments(int argc, char** argv, Config* config) {
  static const option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                    {"cmdb", required_argument, nullptr, 'd'},
                                    {"host", required_argument, nullptr, 'n'},
                                    {"address", required_argument, nullptr, 'a'},
                                    {"state", required_argument, nullptr, 's'},
                                    {"log-level", required_argument, nullptr, 'l'},
                                    {"drain-on-term", no_argument, nullptr, 't'},
                                    {"check", no_argument, nullptr, 'k'},
                                    {"help", no_argument, nullptr, 'h'},
                                    {"version", no_argument, nullptr, 'v'},
                                    {nullptr, 0, nullptr, 0}};
  std::string path, error;
  Config flags;
  bool check = false, level_given = false;
  for (int c = 0; (c = getopt_long(argc, argv, "c:h", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'c':
        path = optarg;
        break;
      case 'd':
        flags.cmdb = optarg;
        break;
      case 'n':
        flags.host = optarg;
        break;
      case 'a':
        flags.address = optarg;
        break;
      case 's':
        flags.state = optarg;
        break;
      case 't':
        flags.drain_on_term = true;
        break;
      case 'k':
        check = true;
        break;
      case 'l':
        level_given = true;
        if (!ParseLogLevel(optarg, &flags.log_level)) error = std::string("--log-level: not ") + optarg;
        break;
      case 'h':
        fputs(kUsage, stdout);
        return 0;
      case 'v':
        printf("fc-dispatcher %s\n", fc_version());
        return 0;
      default:
        return 2;
    }
  }
  if (optind < argc) error = std::string("unexpected argument ") + argv[optind];
  if (error.empty() && !path.empty()) ReadConfig(path, config, &error);
  if (!flags.cmdb.empty()) config->cmdb = flags.cmdb;
  if (!flags.host.empty()) config->host = flags.host;
  if (!flags.address.empty()) config->address = flags.address;
  if (!flags.state.empty()) config->state = flags.state;
  if (level_given) config->log_level = flags.log_level;
  config->drain_on_term |= flags.drain_on_term;
  if (error.empty() && CheckConfig(*config, &error)) return check ? 0 : -1;
  fprintf(stderr, "fc-dispatcher: %s\n", error.c_str());
  return 2;
}

int32_t MakeEngine(Daemon* daemon, const Config& config, fc_error* error) {
  std::vector<fc_str> witnesses;
  for (const std::string& witness : config.witnesses) witnesses.push_back(Str(witness));
  fc_engine_options options;
  fc_engine_options_init(&options);
  options.name = Str(config.host);
  options.cmdb_url = Str(config.cmdb);
  options.cluster_key_file = Str(config.cluster_key_file);
  options.bind_address = Str(config.bind);
  options.witnesses = witnesses.data();
  options.witness_count = static_cast<uint32_t>(witnesses.size());
  options.no_relocation = 1;
  options.log = Log;
  options.log_user_data = daemon;
  return fc_engine_create(&daemon->engine, &options, error);
}

int32_t MakeDispatcher(Daemon* daemon, const Config& config, fc_error* error) {
  fc_dispatcher_options options;
  fc_dispatcher_options_init(&options);
  options.host = Str(config.host);
  options.address = Str(config.address);
  options.port = config.port;
  options.state_directory = Str(config.state);
  options.log_directory = Str(config.container_logs);
  options.runtime = Str(config.runtime);
  options.labels_json = Str(config.labels);
  options.cpu = config.cpu;
  options.memory = config.memory;
  options.subreaper = 1;
  if (config.max_starts != 0) options.max_starts = config.max_starts;
  if (config.max_containers != 0) options.max_containers = config.max_containers;
  if (config.port_first != 0) options.port_first = config.port_first;
  if (config.port_last != 0) options.port_last = config.port_last;
  return fc_dispatcher_create(&daemon->dispatcher, daemon->engine, &options, OnReady, daemon, error);
}

void OnSignal(Daemon* daemon, const Config& config, uint32_t signal) {
  bool drain = signal != SIGTERM || config.drain_on_term;
  if (!drain || daemon->draining) {
    LogOwn(daemon, FC_LOG_INFO, "exit; containers go on running");
    daemon->over = true;
    return;
  }
  LogOwn(daemon, FC_LOG_INFO, "draining");
  daemon->draining = true;
  uint64_t grace_ns = uint64_t{config.drain_grace_s} * 1000000000u;
  if (fc_dispatcher_drain(daemon->dispatcher, grace_ns, OnDrained, daemon) < 0) {
    daemon->status = 1;
    daemon->over = true;
  }
}

void ReloadKeys(Daemon* daemon, const Config& config) {
  if (config.cluster_key_file.empty()) return;
  fc_error error = FC_ERROR_INIT;
  if (fc_engine_reload_keys(daemon->engine, &error) != FC_OK)
    LogOwn(daemon, FC_LOG_ERROR, std::string(error.message) + "; the keys stay as they are");
}

void Serve(Daemon* daemon, const Config& config, int signals) {
  pollfd fds[2] = {{fc_engine_fd(daemon->engine), POLLIN, 0}, {signals, POLLIN, 0}};
  while (!daemon->over) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) break;
    signalfd_siginfo info;
    if ((fds[1].revents & POLLIN) != 0 && read(signals, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGHUP)
        ReloadKeys(daemon, config);
      else
        OnSignal(daemon, config, info.ssi_signo);
    }
    if ((fds[0].revents & POLLIN) != 0) fc_engine_process(daemon->engine, 0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Config config;
  int usage = ParseArguments(argc, argv, &config);
  if (usage >= 0) return usage;

  // Blocked before the engine exists, so that no thread of it takes the signal.
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  signal(SIGPIPE, SIG_IGN);

  Daemon daemon;
  daemon.log_level = config.log_level;
  fc_error error = FC_ERROR_INIT;
  int32_t code = MakeEngine(&daemon, config, &error);
  if (code == FC_OK) code = MakeDispatcher(&daemon, config, &error);
  if (code == FC_OK) {
    Serve(&daemon, config, signals);
  } else {
    const std::string subject = code == FC_E_CMDB ? config.cmdb : fc_code_name(code);
    fprintf(stderr, "fc-dispatcher: %s: %s\n", subject.c_str(), error.message);
    daemon.status = code == FC_E_INVALID ? 2 : 1;
  }
  fc_dispatcher_destroy(daemon.dispatcher);
  fc_engine_destroy(daemon.engine);
  close(signals);
  return daemon.status;
}
