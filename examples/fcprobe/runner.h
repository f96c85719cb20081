// Sends probes when they are due and not faster than allowed, and turns the prober's answers into verdicts.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_RUNNER_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_RUNNER_H_

#include <fastcontainer.h>

#include <cstdint>
#include <memory>
#include <queue>
#include <vector>

#include "examples/fcprobe/attempts.h"
#include "examples/fcprobe/options.h"
#include "examples/fcprobe/progress.h"
#include "examples/fcprobe/report.h"

namespace fcprobe {

class Runner {
 public:
  // All outlive the runner.
  Runner(const Options& options, fc_prober* prober, Report* report);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Until everything is judged, or a signal. False: fc_prober_probe() failed; code() says how.
  bool Run(std::vector<TargetState>* states);
  int32_t code() const { return code_; }
  Totals* totals() { return &totals_; }

 private:
  // A probe of a target: to be sent at `due`, or open.
  struct Probe {
    Runner* runner = nullptr;
    TargetState* state = nullptr;
    uint64_t due = 0;
    uint64_t waited = 0;  // by earlier attempts
    size_t attempt = 0;
    Verdict verdict;
  };
  // First come, first served among equals: the targets take turns.
  class Queue {
   public:
    bool empty() const { return waiting_.empty(); }
    Probe* front() const { return waiting_.top().probe; }
    void Push(Probe* probe) { waiting_.push({probe->due, next_++, probe}); }
    void Pop() { waiting_.pop(); }

   private:
    struct Entry {
      uint64_t due, order;
      Probe* probe;
      bool operator<(const Entry& other) const {
        return due != other.due ? due > other.due : order > other.order;
      }
    };
    std::priority_queue<Entry> waiting_;
    uint64_t next_ = 0;
  };

  static void OnResult(void* user_data, const fc_probe_result* result);
  Probe* NewProbe(TargetState* state);
  void Recycle(Probe* probe);
  void Plan(TargetState* state, uint64_t due);
  uint64_t ProbesOf(const TargetState& state) const;
  void SendDue(uint64_t now);
  void Send(Probe* probe);
  void Took(Probe* probe, const fc_probe_result& result);
  bool TriesAgain(Probe* probe, const fc_probe_result& result);
  void Judge(Probe* probe);
  void Wait();
  bool HandleSignals();

  const Options& options_;
  fc_prober* const prober_;
  Report* const report_;
  const std::vector<Attempt> plan_;
  std::vector<TargetState>* states_ = nullptr;
  Queue queue_;
  std::vector<std::unique_ptr<Probe>> probes_;
  std::vector<Probe*> idle_;
  uint64_t open_ = 0;
  uint64_t may_send_ = 0;  // not before
  uint32_t spare_ports_ = 0;
  sockaddr_storage source_ = {};
  uint32_t interface_ = 0;
  int32_t code_ = FC_OK;
  bool enough_ = false;
  Totals totals_;
};

// CLOCK_MONOTONIC.
uint64_t Now();
// SIGINT and SIGTERM end a run, SIGQUIT prints how far it is. They arrive while Run() waits.
void CatchSignals();

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_RUNNER_H_
