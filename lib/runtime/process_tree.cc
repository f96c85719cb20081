#include "lib/runtime/process_tree.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "lib/runtime/cgroup.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {
namespace {

// Some milliseconds pass until the kernel has taken a large process apart, and a successor may wait for that.
constexpr Nanos kFirstDelay = 1 * kMillisecond;
constexpr Nanos kLongestDelay = 200 * kMillisecond;
// About a millisecond of the loop's time: /proc takes some microseconds for each process.
constexpr int kProcessesPerStep = 128;

}  // namespace

bool ProcessTree::Has(const ProcessStat& stat) const {
  // Nobody's descendant is older than itself; this spares most of the reads of environments.
  if (stat.start_time < start_time) return false;
  if (session_is_certain && leader != 0 && stat.session == leader) return true;
  return !stat.dead() && ReadNonce(stat.pid) == instance;
}

bool SignalProcess(pid_t pid, uint64_t start_time, int signal) {
  // The descriptor first, then the comparison: the pid cannot change its owner in between unnoticed.
  const UniqueFd pidfd(OpenPidfd(pid));
  if (!pidfd.valid()) return false;
  const std::optional<ProcessStat> stat = ReadProcessStat(pid);
  if (!stat || stat->start_time != start_time) return false;
  return SignalPidfd(pidfd.get(), signal) == 0;
}

TreeEnd::TreeEnd(Reactor& reactor, ProcessTree tree, Nanos kill_at, Callback done)
    : reactor_(reactor),
      tree_(std::move(tree)),
      kill_at_(kill_at),
      done_(std::move(done)),
      delay_(kFirstDelay) {
  timer_ = reactor_.After(0, [this] { StartRound(); });
}

TreeEnd::~TreeEnd() { reactor_.CancelTimer(timer_); }

void TreeEnd::KillAt(Nanos at) {
  if (at >= kill_at_) return;
  kill_at_ = at;
  if (proc_ != nullptr) return;  // in a round: the next one comes by itself, and soon
  delay_ = kFirstDelay;
  reactor_.CancelTimer(timer_);
  timer_ = reactor_.At(at, [this] { StartRound(); });
}

void TreeEnd::StartRound() {
  timer_ = 0;
  alive_ = 0;
  if (!tree_.cgroup.empty()) {
    CgroupRound();
    if (tree_.leader != 0) return EndRound();
  }
  proc_.reset(opendir("/proc"));
  if (proc_ == nullptr) {  // out of descriptors: once more
    alive_ = 1;
    return EndRound();
  }
  ScanStep();
}

void TreeEnd::CgroupRound() {
  if (!CgroupPopulated(tree_.cgroup)) {
    // A privileged leader may have moved itself elsewhere.
    const std::optional<ProcessStat> leader = ReadProcessStat(tree_.leader);
    if (tree_.leader != 0 && leader && leader->start_time == tree_.start_time) Meet(*leader);
    return;
  }
  alive_ = 1;
  if (reactor_.Now() >= kill_at_) return KillCgroup(tree_.cgroup);
  for (const pid_t pid : CgroupProcesses(tree_.cgroup))
    if (const std::optional<ProcessStat> stat = ReadProcessStat(pid)) Meet(*stat);
}

void TreeEnd::ScanStep() {
  timer_ = 0;
  for (int looked = 0; looked < kProcessesPerStep;) {
    const dirent* entry = readdir(proc_.get());
    if (entry == nullptr) return EndRound();
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid)) continue;
    ++looked;
    const std::optional<ProcessStat> stat = ReadProcessStat(pid);
    if (stat && pid != getpid() && tree_.Has(*stat)) Meet(*stat);
  }
  timer_ = reactor_.After(0, [this] { ScanStep(); });
}

void TreeEnd::Meet(const ProcessStat& stat) {
  if (stat.dead()) return;
  ++alive_;
  const bool warned = std::exchange(met_[stat.pid], stat.start_time) == stat.start_time;
  if (reactor_.Now() >= kill_at_) {
    SignalProcess(stat.pid, stat.start_time, SIGKILL);
  } else if (!warned) {
    SignalProcess(stat.pid, stat.start_time, SIGTERM);
  }
}

// A process that is being killed has lost its environment, and may still have its files, before it is dead.
void TreeEnd::MeetAgain() {
  for (const auto& [pid, start_time] : met_) {
    const std::optional<ProcessStat> stat = ReadProcessStat(pid);
    if (stat && stat->start_time == start_time) Meet(*stat);  // it is in the table: nothing there moves
  }
}

void TreeEnd::EndRound() {
  proc_.reset();
  if (alive_ == 0) MeetAgain();
  if (alive_ == 0) {
    Callback done = std::move(done_);  // it may destroy this object
    done();
    return;
  }
  const Nanos now = reactor_.Now();
  // Not past the kill.
  const Nanos next = now < kill_at_ ? std::min(now + delay_, kill_at_) : now + delay_;
  delay_ = std::min(delay_ + delay_ / 2, kLongestDelay);
  timer_ = reactor_.At(next, [this] { StartRound(); });
}

}  // namespace fastcontainer
