// --histogram: the distribution of all round trips.
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "examples/fcprobe/report_plain.h"
#include "examples/fcprobe/text.h"

namespace fcprobe {
namespace {

// At the end, and on a terminal as they come.
class HistogramReport : public PlainReport {
 public:
  explicit HistogramReport(const Options& options)
      : PlainReport(options, !Live(options)), live_(Live(options)) {}

  // Other lines would be drawn over.
  void Judged(const TargetState& state, const Verdict& verdict) override {
    if (!live_) PlainReport::Judged(state, verdict);
  }

  bool wants_ticks() const override { return live_; }

  void Tick(const Totals& totals) override {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const int64_t tenth = t.tv_sec * 10 + t.tv_nsec / 100'000'000;
    if (tenth == drawn_at_ || totals.packets == 0) return;
    drawn_at_ = tenth;
    Draw(totals);
  }

  void End(const std::vector<TargetState>& states, const Totals& totals) override {
    Draw(totals);
    PlainReport::End(states, totals);
  }

 private:
  static bool Live(const Options& options) {
    return options.mode != Mode::kVerdict && !options.quiet && isatty(STDOUT_FILENO) == 1;
  }

  // Over what was drawn before: the cursor goes up, and each line is cleared (ECMA-48 CUU, EL, ED).
  void Draw(const Totals& totals) {
    const RttSeries& rtt = totals.rtt;
    std::vector<std::string> lines = {
        std::to_string(totals.packets) + " packets, " + std::to_string(totals.answers) + " answers; p50 " +
        Milliseconds(rtt.Percentile(50)) + ", p99 " + Milliseconds(rtt.Percentile(99)) + ", max " +
        Milliseconds(rtt.max()) + " ms"};
    for (std::string& row : HistogramRows(rtt.ToHistogram(), 40)) lines.push_back(std::move(row));
    std::string text;
    // A line that is too long is cut: wrapped, it would move the rest down (DECAWM).
    if (live_) text = "\033[?7l";
    if (live_ && drawn_ != 0) text += "\033[" + std::to_string(drawn_) + "A";
    for (const std::string& line : lines) text += (live_ ? "\033[2K" : "") + line + "\n";
    if (live_) text += "\033[J\033[?7h";
    fputs(text.c_str(), stdout);
    fflush(stdout);
    drawn_ = lines.size();
  }

  const bool live_;
  size_t drawn_ = 0;
  int64_t drawn_at_ = 0;
};

}  // namespace

std::unique_ptr<Report> MakeHistogramReport(const Options& options) {
  return std::make_unique<HistogramReport>(options);
}

}  // namespace fcprobe
