// What an open loop saw: a log line a request, a line a second, and a summary.
#ifndef FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REPORT_H_
#define FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REPORT_H_

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tests/deployment/openloop_generator.h"

namespace openloop {

class Report : public Sink {
 public:
  Report(const std::string& log, bool live);
  ~Report() override;
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  void Begin(Nanos now) override { begin_ = now; }
  void Done(const Result& result) override;
  // Prints the seconds that are over, if live.
  void Tick(Nanos now) override;
  // Prints the summary; true if every request succeeded.
  bool Finish();

 private:
  struct Second {
    uint64_t requests = 0, failures = 0;
    double sum_ms = 0, max_ms = 0;
  };
  void PrintSecond(size_t index);

  FILE* log_ = nullptr;
  bool live_;
  Nanos begin_ = 0;
  size_t printed_ = 0;
  std::vector<Second> seconds_;  // by when the answer came
  std::vector<double> latencies_ms_;
  std::map<std::string, uint64_t> outcomes_;
  uint64_t failures_ = 0;
};

}  // namespace openloop

#endif  // FASTCONTAINER_TESTS_DEPLOYMENT_OPENLOOP_REPORT_H_
