// What fcprobe prints, in one of four shapes.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_REPORT_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_REPORT_H_

#include <memory>
#include <string>
#include <vector>

#include "examples/fcprobe/options.h"
#include "examples/fcprobe/progress.h"

namespace fcprobe {

class Report {
 public:
  virtual ~Report() = default;

  virtual void NotFound(const std::string& word, const std::string& why) = 0;
  // Before the first probe.
  virtual void Begin(const std::vector<TargetState>&) {}
  virtual void Judged(const TargetState& state, const Verdict& verdict) = 0;
  // SIGQUIT.
  virtual void Interim(const std::vector<TargetState>& states) = 0;
  // At least ten times a second, if wants_ticks().
  virtual void Tick(const Totals&) {}
  virtual bool wants_ticks() const { return false; }
  virtual void End(const std::vector<TargetState>& states, const Totals& totals) = 0;
};

std::unique_ptr<Report> MakeReport(const Options& options);

// The shapes. `options` outlives them.
std::unique_ptr<Report> MakePlainReport(const Options& options);      // fping's
std::unique_ptr<Report> MakeHistogramReport(const Options& options);  // the same, with the histogram
std::unique_ptr<Report> MakeSweepReport(const Options& options);      // --source-ports
std::unique_ptr<Report> MakeJsonReport(const Options& options);

// fping's totals, to standard error.
void PrintTotals(const Options& options, const Totals& totals);

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_REPORT_H_
