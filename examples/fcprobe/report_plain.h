// fping's output, line by line; see fping(8), and docs/fcprobe.md for where it says more.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_REPORT_PLAIN_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_REPORT_PLAIN_H_

#include <string>
#include <vector>

#include "examples/fcprobe/report.h"

namespace fcprobe {

class PlainReport : public Report {
 public:
  // Without `lines` there are only summaries.
  PlainReport(const Options& options, bool lines);

  void NotFound(const std::string& word, const std::string& why) override;
  void Begin(const std::vector<TargetState>& states) override;
  void Judged(const TargetState& state, const Verdict& verdict) override;
  void Interim(const std::vector<TargetState>& states) override;
  void End(const std::vector<TargetState>& states, const Totals& totals) override;

 private:
  void PrintVerdict(const TargetState& state, const Verdict& verdict);
  void PrintError(const TargetState& state, const Verdict& verdict);
  void PrintProbe(const TargetState& state, const Verdict& verdict);
  void PrintSummary(const TargetState& state, bool each);

  const Options& options_;
  const bool verdicts_;
  const bool lines_;
  size_t width_ = 0;
};

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_REPORT_PLAIN_H_
