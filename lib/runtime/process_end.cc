// How an instance ends: its leader's death, the end of the rest, and the answers.
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/runtime/output.h"
#include "lib/runtime/process.h"

namespace fastcontainer {
namespace {

// Glibc 2.36 and the kernel agree on the number; older headers lack the name.
constexpr auto kWaitByPidfd = static_cast<idtype_t>(3);

std::string DescribeExit(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return absl::StrCat("exit status ", info.si_status);
  return absl::StrCat("signal ", info.si_status);
}

}  // namespace

void ProcessRuntime::ReapLeader(Instance& instance) {
  if (!instance.pidfd.valid()) return;
  reactor_.Unwatch(instance.pidfd.get());
  siginfo_t info{};
  // A recovered leader is not our child; an embedding program may have reaped a child of ours. Both are
  // "gone".
  if (waitid(kWaitByPidfd, static_cast<id_t>(instance.pidfd.get()), &info, WEXITED | WNOHANG) == 0 &&
      info.si_pid != 0)
    instance.exit_reason = DescribeExit(info);
  instance.pidfd.Close();
  leaders_.erase(instance.record.pid);
}

void ProcessRuntime::OnLeaderExit(Instance& instance) {
  ReapLeader(instance);
  instance.probe.reset();
  switch (instance.phase) {
    case Phase::kStarting: {
      std::string message = absl::StrCat("it ended before it was ready: ", instance.exit_reason);
      const std::string tail = OutputTail(instance.output_path, instance.output_begin);
      if (!tail.empty()) absl::StrAppend(&message, "; the end of its output: ", tail);
      return FailStart(instance, absl::AbortedError(message));
    }
    case Phase::kReady:
      instance.phase = Phase::kEnding;
      return EndTree(instance, reactor_.Now());
    case Phase::kStopping:
      // Others of its processes may still be finishing their work: they have the rest of the grace.
      return EndTree(instance, instance.kill_at);
    case Phase::kEnding:
      return;
  }
}

ProcessTree ProcessRuntime::TreeOf(const Instance& instance) const {
  ProcessTree tree;
  tree.instance = instance.record.instance;
  tree.cgroup = instance.record.cgroup;
  tree.leader = instance.record.pid;
  tree.start_time = instance.record.start_time;
  tree.session_is_certain = instance.leader_was_watched;
  return tree;
}

void ProcessRuntime::EndTree(Instance& instance, Nanos kill_at) {
  instance.probe.reset();
  reactor_.CancelTimer(std::exchange(instance.timer, 0));
  if (instance.end != nullptr) return instance.end->KillAt(kill_at);
  instance.end =
      std::make_unique<TreeEnd>(reactor_, TreeOf(instance), kill_at, [this, &instance] { Finish(instance); });
}

void ProcessRuntime::Finish(Instance& finished) {
  // Out of the table before anything is told: a callback may start the same instance again.
  auto node = instances_.extract(finished.record.instance);
  const std::unique_ptr<Instance> instance = std::move(node.mapped());
  const InstanceRecord& record = instance->record;
  if (instance->single && guard_ != nullptr)
    if (const absl::Status status = guard_->Remove(record.pid); !status.ok())
      Log(LogLevel::kWarning, status.message());
  reactor_.CancelTimer(instance->timer);
  ReapLeader(*instance);
  if (reaper_ != nullptr) reaper_->Sweep();
  if (!record.cgroup.empty()) RemoveInstanceCgroup(record.cgroup);
  limits_.Remove(record.instance);
  if (const absl::Status removed = state_.Remove(record.instance); !removed.ok())
    Log(LogLevel::kWarning, removed.message());

  const std::weak_ptr<bool> alive = alive_;  // a callback may destroy the runtime
  if (instance->start) instance->start(instance->start_failure);
  for (StopCallback& stop : instance->stops) stop(absl::OkStatus());
  if (alive.expired()) return;
  if (instance->report_exit && instance->stops.empty() && exit_)
    exit_(ExitReport{record.instance, instance->exit_reason});
  if (instance->gone) instance->gone();
}

}  // namespace fastcontainer
