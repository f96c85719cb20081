// fcprobe: which hosts answer, how fast, and if not, why. fping's options, by libfastcontainer-probe alone.
#include <arpa/inet.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>

#include "examples/fcprobe/options.h"
#include "examples/fcprobe/report.h"
#include "examples/fcprobe/runner.h"
#include "examples/fcprobe/targets.h"

namespace fcprobe {
namespace {

int Fail(int status, const std::string& message) {
  fprintf(stderr, "fcprobe: %s%s\n", message.c_str(), status == kExitUsage ? " (see fcprobe --help)" : "");
  return status;
}

// An exit status, or -1: go on with *words.
int CollectWords(const Options& options, std::vector<std::string>* words) {
  if (options.generate) {
    const std::string why = Generate(options.words, words);
    return why.empty() ? -1 : Fail(kExitUsage, why);
  }
  *words = options.words;
  if (!words->empty()) return -1;
  const std::string file = options.file.value_or("-");
  if (file == "-") {
    if (!options.file && isatty(STDIN_FILENO) == 1) return Fail(kExitUsage, "a target is needed");
    *words = ReadTargets(std::cin);
    return -1;
  }
  std::ifstream in(file);
  if (!in) return Fail(kExitSystem, "-f \"" + file + "\": " + strerror(errno));
  *words = ReadTargets(in);
  return -1;
}

// As sending would fail, but once and before.
int CheckSource(const Options& options) {
  if (options.source.empty()) return -1;
  sockaddr_in6 six = {};
  sockaddr_in four = {};
  four.sin_family = AF_INET;
  six.sin6_family = AF_INET6;
  const bool is_four = inet_pton(AF_INET, options.source.c_str(), &four.sin_addr) == 1;
  if (!is_four) inet_pton(AF_INET6, options.source.c_str(), &six.sin6_addr);
  const int s = socket(is_four ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int failed = is_four ? bind(s, reinterpret_cast<sockaddr*>(&four), sizeof(four))
                             : bind(s, reinterpret_cast<sockaddr*>(&six), sizeof(six));
  const int error = errno;
  if (s >= 0) close(s);
  return failed == 0 ? -1 : Fail(kExitSystem, "-S \"" + options.source + "\": " + strerror(error));
}

bool UsesIcmp(const Options& options, const std::vector<TargetState>& states, int family) {
  if (NeedsPort(options.mechanism)) return false;
  for (const TargetState& state : states) {
    if (state.target.port == 0 && (family == AF_UNSPEC || state.target.host.ss_family == family)) return true;
  }
  return false;
}

struct Destroy {
  void operator()(fc_prober* prober) const { fc_prober_destroy(prober); }
};
using Prober = std::unique_ptr<fc_prober, Destroy>;

// Null: *message says why.
Prober Open(const Options& options, const std::vector<TargetState>& states, int32_t* code,
            std::string* message) {
  fc_prober_options how;
  fc_prober_options_init(&how);
  how.mechanism = options.mechanism;
  if (how.mechanism == FC_PROBE_NONE && !UsesIcmp(options, states, AF_UNSPEC))
    how.mechanism = FC_PROBE_TCP_CONNECT;
  fc_error error = FC_ERROR_INIT;
  fc_prober* made = nullptr;
  *code = fc_prober_create(&made, &how, &error);
  Prober prober(made);
  if (*code != FC_OK) {
    *message = error.message;
    return nullptr;
  }
  // A prober is there if one family is permitted.
  for (int family : {AF_INET, AF_INET6}) {
    if (how.mechanism != FC_PROBE_NONE || !UsesIcmp(options, states, family)) continue;
    if (fc_prober_mechanism(prober.get(), family) != FC_PROBE_NONE) continue;
    *code = FC_E_PERMISSION;
    *message = std::string(family == AF_INET ? "IPv4" : "IPv6") +
               ": no ICMP socket is permitted: set the sysctl net.ipv4.ping_group_range, or give CAP_NET_RAW";
    return nullptr;
  }
  return prober;
}

void UseTcp(uint32_t port, std::vector<TargetState>* states) {
  for (TargetState& state : *states) {
    if (state.target.port != 0) continue;
    state.target.port = static_cast<uint16_t>(port);
    auto* const host = &state.target.host;
    const uint16_t wire = htons(state.target.port);
    if (host->ss_family == AF_INET) reinterpret_cast<sockaddr_in*>(host)->sin_port = wire;
    if (host->ss_family == AF_INET6) reinterpret_cast<sockaddr_in6*>(host)->sin6_port = wire;
  }
}

Prober OpenOrFallBack(Options* options, std::vector<TargetState>* states, std::string* message) {
  int32_t code = FC_OK;
  Prober prober = Open(*options, *states, &code, message);
  if (prober != nullptr || code != FC_E_PERMISSION || options->fallback_port == 0) return prober;
  fprintf(stderr, "fcprobe: %s; TCP to port %u is used instead\n", message->c_str(), options->fallback_port);
  UseTcp(options->fallback_port, states);
  options->mechanism = FC_PROBE_TCP_CONNECT;
  return Open(*options, *states, &code, message);
}

int StatusOf(const Options& options, const std::vector<TargetState>& states, const Totals& totals) {
  if (options.least_reachable != 0)
    return totals.alive >= options.least_reachable ? kExitReachable : kExitUnreachable;
  if (totals.unknown != 0) return kExitNotFound;
  if (totals.targets == 0 || totals.alive != totals.targets) return kExitUnreachable;
  for (const TargetState& state : states) {
    if (!state.failed.empty()) return kExitUnreachable;
  }
  return kExitReachable;
}

std::string WhyNotSent(int32_t code) {
  if (code == FC_E_NOMEM) return "no memory for another probe";
  if (code == FC_E_UNSUPPORTED) return "the library does not offer this mechanism for this address";
  return "the library refuses the options of this probe (" + std::to_string(code) + ")";
}

// What would make the figures look worse than the network is.
void WarnOfLoss(const fc_prober* prober) {
  fc_prober_stats stats;
  memset(&stats, 0, sizeof(stats));
  stats.struct_size = sizeof(stats);
  if (fc_prober_get_stats(prober, &stats) != FC_OK || stats.packets_lost == 0) return;
  fprintf(stderr,
          "fcprobe: the kernel dropped %" PRIu64
          " answers because the receive buffer was full (net.core.rmem_max); use a lower --rate\n",
          stats.packets_lost);
}

int Probe(Options* options) {
  std::vector<std::string> words;
  if (const int status = CollectWords(*options, &words); status >= 0) return status;
  if (const int status = CheckSource(*options); status >= 0) return status;
  const std::unique_ptr<Report> report = MakeReport(*options);
  std::vector<TargetState> states;
  uint64_t unknown = 0;
  for (const std::string& word : words) {
    TargetState state;
    const std::string why = Resolve(*options, word, &state.target);
    if (why.empty()) {
      states.push_back(std::move(state));
    } else {
      report->NotFound(word, why);
      ++unknown;
    }
  }
  std::string message;
  const Prober prober = states.empty() ? nullptr : OpenOrFallBack(options, &states, &message);
  if (prober == nullptr && !states.empty()) return Fail(kExitSystem, message);
  CatchSignals();
  report->Begin(states);
  Runner runner(*options, prober.get(), report.get());
  const bool ran = prober == nullptr || runner.Run(&states);
  if (!ran) return Fail(kExitSystem, WhyNotSent(runner.code()));
  runner.totals()->unknown = unknown;
  runner.totals()->icmp_only = UsesIcmp(*options, states, AF_UNSPEC) || states.empty();
  report->End(states, *runner.totals());
  if (prober != nullptr) WarnOfLoss(prober.get());
  return StatusOf(*options, states, *runner.totals());
}

}  // namespace
}  // namespace fcprobe

int main(int argc, char** argv) {
  fcprobe::Options options;
  std::string message;
  switch (fcprobe::ParseOptions(argc, argv, &options, &message)) {
    case fcprobe::Parsed::kHelp:
      fputs(fcprobe::kUsage, stdout);
      return fcprobe::kExitReachable;
    case fcprobe::Parsed::kVersion:
      printf("fcprobe: Version %d.%d.%d\n", FC_VERSION_MAJOR, FC_VERSION_MINOR, FC_VERSION_PATCH);
      return fcprobe::kExitReachable;
    case fcprobe::Parsed::kInvalid:
      return fcprobe::Fail(fcprobe::kExitUsage, message);
    case fcprobe::Parsed::kRun:
      break;
  }
  return fcprobe::Probe(&options);
}
