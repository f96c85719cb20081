#include "examples/fcprobe/report_plain.h"

#include <time.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <string_view>

#include "examples/fcprobe/text.h"

namespace fcprobe {
namespace {

std::string Timestamp() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char text[48];
  snprintf(text, sizeof(text), "[%lld.%05ld] ", static_cast<long long>(now.tv_sec), now.tv_nsec / 10000);
  return text;
}

uint64_t LossPercent(const TargetState& state) {
  return state.judged == 0 ? 0 : 100 * (state.judged - state.reached) / state.judged;
}

std::string PercentileNames(const RttSeries& rtt) {
  return ", p50/p90/p99 = " + Milliseconds(rtt.Percentile(50)) + "/" + Milliseconds(rtt.Percentile(90)) +
         "/" + Milliseconds(rtt.Percentile(99));
}

// What was received, as fping has it for ICMP: the payload and the ICMP header.
std::string Received(const Options& options, const fc_probe_result& result) {
  if (result.verdict == FC_VERDICT_UP_PORT_CLOSED) return "port closed";
  if (NeedsPort(result.mechanism)) return result.mechanism == FC_PROBE_UDP ? "answer" : "port open";
  return std::to_string(std::max(options.size, 16u) + 8) + " bytes";
}

}  // namespace

PlainReport::PlainReport(const Options& options, bool lines)
    : options_(options),
      verdicts_(options.mode == Mode::kVerdict),
      lines_(lines && !options.quiet && options.least_reachable == 0 &&
             (verdicts_ || options.show == Show::kAll)) {}

void PlainReport::NotFound(const std::string& word, const std::string& why) {
  if (!options_.quiet) fprintf(stderr, "%s: %s\n", word.c_str(), why.c_str());
}

void PlainReport::Begin(const std::vector<TargetState>& states) {
  for (const TargetState& state : states) width_ = std::max(width_, state.target.display.size());
}

void PlainReport::Judged(const TargetState& state, const Verdict& verdict) {
  PrintError(state, verdict);
  if (!lines_) return;
  if (verdicts_) {
    PrintVerdict(state, verdict);
  } else {
    PrintProbe(state, verdict);
  }
  fflush(stdout);
}

void PlainReport::Interim(const std::vector<TargetState>& states) {
  if (verdicts_) return;
  const time_t now = time(nullptr);
  tm local;
  localtime_r(&now, &local);
  if (lines_) fputc('\n', stderr);
  fprintf(stderr, "[%02d:%02d:%02d]\n", local.tm_hour, local.tm_min, local.tm_sec);
  for (const TargetState& state : states) PrintSummary(state, false);
}

void PlainReport::End(const std::vector<TargetState>& states, const Totals& totals) {
  if (!verdicts_) {
    if (lines_) fputc('\n', stderr);
    for (const TargetState& state : states) PrintSummary(state, options_.each_rtt);
  }
  if (options_.summary) PrintTotals(options_, totals);
  if (options_.least_reachable == 0) return;
  printf("%s hosts reachable (required: %u, reachable: %" PRIu64 ")\n",
         totals.alive >= options_.least_reachable ? "Enough" : "Not enough", options_.least_reachable,
         totals.alive);
}

void PlainReport::PrintVerdict(const TargetState& state, const Verdict& verdict) {
  const std::string& name = state.target.display;
  if (options_.show == (verdict.reached ? Show::kUnreachable : Show::kAlive)) return;
  std::string line = name;
  if (options_.show == Show::kAll) line += verdict.reached ? " is alive" : " is unreachable";
  if (verdict.reached && options_.elapsed) line += " (" + Milliseconds(verdict.result.rtt_ns) + " ms)";
  puts(line.c_str());
}

// fping's two lines on standard error; the first without "from": a verdict does not tell who said it.
void PlainReport::PrintError(const TargetState& state, const Verdict& verdict) {
  if (options_.quiet || options_.least_reachable != 0 || verdict.reached) return;
  const fc_probe_result& result = verdict.result;
  const bool icmp = state.target.port == 0;
  const std::string reason = Reason(result, state.target.host.ss_family);
  const char* const name = state.target.display.c_str();
  if (result.verdict == FC_VERDICT_DOWN_UNREACHABLE && result.icmp_type >= 0) {
    fprintf(stderr, "ICMP Unreachable (%s) for %s sent to %s\n", reason.c_str(),
            icmp ? "ICMP Echo" : "a packet", name);
  } else if (result.verdict == FC_VERDICT_UP_PORT_CLOSED) {
    fprintf(stderr, "%s: %s\n", name, reason.c_str());
  } else if (options_.show == Show::kAll && result.verdict != FC_VERDICT_DOWN_TIMEOUT) {
    fprintf(stderr, "%s: error while sending%s: %s\n", name, icmp ? " ping" : "", reason.c_str());
  }
}

void PlainReport::PrintProbe(const TargetState& state, const Verdict& verdict) {
  const fc_probe_result& result = verdict.result;
  const std::string mean = state.reached == 0 ? "NaN" : Milliseconds(state.rtt.mean());
  // fping has no line for what could not be sent, and no other word than this for an ICMP error.
  std::string what = "timed out";
  if (verdict.reached) {
    what = Received(options_, result) + ", " + Milliseconds(result.rtt_ns) + " ms";
  } else if (state.target.port == 0) {
    if (result.verdict == FC_VERDICT_LOCAL_FAULT) return;
  } else if (result.verdict != FC_VERDICT_DOWN_TIMEOUT) {
    what = "unreachable: " + Reason(result, state.target.host.ss_family);
  }
  printf("%s%-*s : [%" PRIu64 "], %s (%s avg, %" PRIu64 "%% loss)\n",
         options_.timestamps ? Timestamp().c_str() : "", static_cast<int>(width_),
         state.target.display.c_str(), verdict.sequence, what.c_str(), mean.c_str(), LossPercent(state));
}

void PlainReport::PrintSummary(const TargetState& state, bool each) {
  fprintf(stderr, "%-*s :", static_cast<int>(width_), state.target.display.c_str());
  const RttSeries& rtt = state.rtt;
  if (each) {
    for (const auto& one : state.each) fprintf(stderr, " %s", one ? Milliseconds(*one).c_str() : "-");
  } else {
    fprintf(stderr, " xmt/rcv/%%loss = %" PRIu64 "/%" PRIu64 "/%" PRIu64 "%%", state.judged, state.reached,
            LossPercent(state));
    if (state.reached != 0)
      fprintf(stderr, ", min/avg/max = %s/%s/%s", Milliseconds(rtt.min()).c_str(),
              Milliseconds(rtt.mean()).c_str(), Milliseconds(rtt.max()).c_str());
  }
  if (options_.percentiles && state.reached != 0) fputs(PercentileNames(rtt).c_str(), stderr);
  fputc('\n', stderr);
}

void PrintTotals(const Options& options, const Totals& totals) {
  const std::string_view sent = totals.icmp_only ? "ICMP Echos sent" : "packets sent";
  const std::string_view received = totals.icmp_only ? "ICMP Echo Replies received" : "answers received";
  const auto line = [](uint64_t count, std::string_view what) {
    fprintf(stderr, "%8" PRIu64 " %.*s\n", count, static_cast<int>(what.size()), what.data());
  };
  const auto rtt = [](uint64_t value, const char* what) {
    fprintf(stderr, " %s ms (%s round trip time)\n", Milliseconds(value).c_str(), what);
  };
  fputc('\n', stderr);
  line(totals.targets, "targets");
  line(totals.alive, "alive");
  line(totals.targets - totals.alive, "unreachable");
  line(totals.unknown, "unknown addresses");
  fputc('\n', stderr);
  line(totals.timeouts, "timeouts (waiting for response)");
  line(totals.packets, sent);
  line(totals.answers, received);
  line(totals.icmp_errors, "other ICMP received");
  fputc('\n', stderr);
  rtt(totals.rtt.min(), "min");
  rtt(totals.rtt.mean(), "avg");
  rtt(totals.rtt.max(), "max");
  if (options.percentiles) {
    rtt(totals.rtt.Percentile(50), "p50");
    rtt(totals.rtt.Percentile(90), "p90");
    rtt(totals.rtt.Percentile(99), "p99");
  }
  fprintf(stderr, "%13.3f sec (elapsed real time)\n\n", static_cast<double>(totals.elapsed) / 1e9);
}

std::unique_ptr<Report> MakePlainReport(const Options& options) {
  return std::make_unique<PlainReport>(options, true);
}

std::unique_ptr<Report> MakeReport(const Options& options) {
  if (options.json) return MakeJsonReport(options);
  if (options.source_ports != 0) return MakeSweepReport(options);
  return options.histogram ? MakeHistogramReport(options) : MakePlainReport(options);
}

}  // namespace fcprobe
