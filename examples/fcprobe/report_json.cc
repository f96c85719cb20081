// --json: one object a line.
#include <time.h>

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "examples/fcprobe/report.h"
#include "examples/fcprobe/text.h"

namespace fcprobe {
namespace {

using Json = nlohmann::ordered_json;

// Milliseconds with three decimals or, below a tenth of one, to the nanosecond.
double InMilliseconds(uint64_t nanoseconds) {
  const double value = static_cast<double>(nanoseconds);
  return nanoseconds < 100'000 ? value / 1e6 : std::round(value / 1e3) / 1e3;
}

Json RttOf(const RttSeries& rtt) {
  if (rtt.count() == 0) return nullptr;
  return {{"min", InMilliseconds(rtt.min())},          {"avg", InMilliseconds(rtt.mean())},
          {"p50", InMilliseconds(rtt.Percentile(50))}, {"p90", InMilliseconds(rtt.Percentile(90))},
          {"p99", InMilliseconds(rtt.Percentile(99))}, {"max", InMilliseconds(rtt.max())}};
}

void PutTarget(const Target& target, Json* row) {
  (*row)["target"] = target.word;
  (*row)["address"] = target.address;
  if (target.port != 0) (*row)["port"] = target.port;
}

void PutVerdict(const fc_probe_result& result, int family, Json* row) {
  const std::string reason = Reason(result, family);
  (*row)["verdict"] = VerdictName(result.verdict);
  (*row)["reason"] = reason.empty() ? Json(nullptr) : Json(reason);
  (*row)["mechanism"] = MechanismName(result.mechanism);
  if (result.error != 0) {
    const char* const name = strerrorname_np(result.error);
    (*row)["errno"] = name == nullptr ? std::to_string(result.error) : name;
  }
  if (result.icmp_type < 0) return;
  (*row)["icmp_type"] = result.icmp_type;
  (*row)["icmp_code"] = result.icmp_code;
}

void Print(const Json& row) {
  // A name from a file may be anything; what is not UTF-8 must not end the run.
  puts(row.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  fflush(stdout);
}

class JsonReport : public Report {
 public:
  explicit JsonReport(const Options& options) : options_(options) {}

  void NotFound(const std::string& word, const std::string& why) override {
    if (options_.show == Show::kAlive) return;
    Print({{"type", "target"}, {"target", word}, {"verdict", "not_found"}, {"reason", why}});
  }

  void Judged(const TargetState& state, const Verdict& verdict) override {
    if (options_.mode == Mode::kLoop && !options_.quiet) PrintProbe(state, verdict);
    if (options_.source_ports != 0 && state.judged == options_.source_ports) PrintTarget(state);
    if (options_.mode == Mode::kVerdict && options_.source_ports == 0) PrintTarget(state);
  }

  void Interim(const std::vector<TargetState>& states) override {
    for (const TargetState& state : states) PrintTarget(state);
  }

  void End(const std::vector<TargetState>& states, const Totals& totals) override {
    if (options_.mode != Mode::kVerdict) Interim(states);
    if (!options_.summary && options_.least_reachable == 0) return;
    Json row = {{"type", "summary"},           {"targets", totals.targets},
                {"alive", totals.alive},       {"unreachable", totals.targets - totals.alive},
                {"unknown", totals.unknown},   {"sent", totals.packets},
                {"received", totals.answers},  {"icmp_errors", totals.icmp_errors},
                {"rtt_ms", RttOf(totals.rtt)}, {"elapsed_s", InMilliseconds(totals.elapsed) / 1e3}};
    if (options_.least_reachable != 0) row["required"] = options_.least_reachable;
    Print(row);
  }

 private:
  void PrintProbe(const TargetState& state, const Verdict& verdict) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    Json row = {
        {"type", "probe"},
        {"time", static_cast<double>(now.tv_sec) + std::floor(static_cast<double>(now.tv_nsec) / 1e3) / 1e6}};
    PutTarget(state.target, &row);
    row["sequence"] = verdict.sequence;
    PutVerdict(verdict.result, state.target.host.ss_family, &row);
    row["sent"] = verdict.packets;
    row["rtt_ms"] = verdict.reached ? Json(InMilliseconds(verdict.result.rtt_ns)) : Json(nullptr);
    row["user_rtt_ms"] = verdict.reached ? Json(InMilliseconds(verdict.result.user_rtt_ns)) : Json(nullptr);
    row["stall_ms"] = InMilliseconds(verdict.result.stall_ns);
    row["deadline_ms"] = InMilliseconds(verdict.result.deadline_ns);
    Print(row);
  }

  void PrintTarget(const TargetState& state) {
    const bool alive = state.reached != 0;
    if (options_.show == (alive ? Show::kUnreachable : Show::kAlive)) return;
    Json row = {{"type", "target"}};
    PutTarget(state.target, &row);
    if (state.judged != 0) PutVerdict(state.last.result, state.target.host.ss_family, &row);
    row["probes"] = state.judged;
    row["sent"] = state.packets;
    row["received"] = state.reached;
    row["lost"] = state.judged - state.reached;
    row["rtt_ms"] = RttOf(state.rtt);
    if (options_.each_rtt) PutEach(state, &row);
    if (options_.source_ports != 0) PutFailed(state, &row);
    Print(row);
  }

  void PutEach(const TargetState& state, Json* row) {
    Json all = Json::array();
    for (const auto& one : state.each) all.push_back(one ? Json(InMilliseconds(*one)) : Json(nullptr));
    (*row)["each_rtt_ms"] = all;
  }

  void PutFailed(const TargetState& state, Json* row) {
    Json failed = Json::array();
    for (const Verdict& verdict : state.failed) {
      Json one = {{"port", verdict.source_port}};
      PutVerdict(verdict.result, state.target.host.ss_family, &one);
      failed.push_back(one);
    }
    (*row)["failed_source_ports"] = failed;
  }

  const Options& options_;
};

}  // namespace

std::unique_ptr<Report> MakeJsonReport(const Options& options) {
  return std::make_unique<JsonReport>(options);
}

}  // namespace fcprobe
