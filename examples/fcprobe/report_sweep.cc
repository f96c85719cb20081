// --source-ports: which of the equal paths to a target do not lead there.
#include <cinttypes>
#include <cstdio>

#include "examples/fcprobe/report.h"
#include "examples/fcprobe/text.h"

namespace fcprobe {
namespace {

class SweepReport : public Report {
 public:
  explicit SweepReport(const Options& options) : options_(options) {}

  void NotFound(const std::string& word, const std::string& why) override {
    if (!options_.quiet) fprintf(stderr, "%s: %s\n", word.c_str(), why.c_str());
  }

  void Judged(const TargetState& state, const Verdict& verdict) override {
    if (options_.quiet) return;
    const char* const name = state.target.display.c_str();
    if (!verdict.reached)
      printf("%s from port %u: %s\n", name, verdict.source_port,
             Reason(verdict.result, state.target.host.ss_family).c_str());
    if (state.judged == options_.source_ports) PrintTarget(state);
    fflush(stdout);
  }

  void Interim(const std::vector<TargetState>& states) override {
    for (const TargetState& state : states) PrintTarget(state);
  }

  void End(const std::vector<TargetState>&, const Totals& totals) override {
    if (options_.summary) PrintTotals(options_, totals);
  }

 private:
  void PrintTarget(const TargetState& state) {
    const bool all = state.failed.empty();
    if (options_.show == (all ? Show::kUnreachable : Show::kAlive)) return;
    printf("%s : %" PRIu64 " of %" PRIu64 " source ports answered", state.target.display.c_str(),
           state.reached, state.judged);
    if (state.reached != 0)
      printf(", min/avg/max = %s/%s/%s", Milliseconds(state.rtt.min()).c_str(),
             Milliseconds(state.rtt.mean()).c_str(), Milliseconds(state.rtt.max()).c_str());
    putchar('\n');
  }

  const Options& options_;
};

}  // namespace

std::unique_ptr<Report> MakeSweepReport(const Options& options) {
  return std::make_unique<SweepReport>(options);
}

}  // namespace fcprobe
