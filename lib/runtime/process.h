// The runtime `process`: a container is a program in a session of its own on this machine. Needs no
// privileges.
#ifndef FASTCONTAINER_LIB_RUNTIME_PROCESS_H_
#define FASTCONTAINER_LIB_RUNTIME_PROCESS_H_

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fastcontainer/log.h"
#include "fastcontainer/reactor.h"
#include "fastcontainer/runtime.h"
#include "lib/runtime/cgroup.h"
#include "lib/runtime/guard.h"
#include "lib/runtime/limits.h"
#include "lib/runtime/process_tree.h"
#include "lib/runtime/ready.h"
#include "lib/runtime/reaper.h"
#include "lib/runtime/state_folder.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

// The program must stay in the foreground: when the leader ends the container has ended, and what it left
// behind is killed.
//
// On the loop a start costs a clone and an exec, and two writes of a file of some hundred bytes (not
// flushed); all other work is in small steps. The destructor leaves the containers running, as a SIGKILL
// would, for the next incarnation to recover, and drops the callbacks of what is in progress.
class ProcessRuntime final : public Runtime {
 public:
  enum class CgroupUse { kAuto, kOff };
  struct Options {
    std::string state_directory;
    std::string log_directory;  // "": STATE/log
    // kAuto: a cgroup for each instance where this process may make one; else session and environment.
    CgroupUse cgroup = CgroupUse::kAuto;
    std::string cgroup_root;  // "": below this process's own cgroup
    // Become the reaper of what containers orphan. For a program whose own children, if any, stay in its
    // session.
    bool subreaper = false;
    LogSink log;  // may be null
  };

  // Errors: InvalidArgument, Unavailable (a folder cannot be used, or another process holds the state).
  static absl::StatusOr<std::unique_ptr<ProcessRuntime>> Create(Reactor& reactor, Options options);
  ~ProcessRuntime() override;
  ProcessRuntime(const ProcessRuntime&) = delete;
  ProcessRuntime& operator=(const ProcessRuntime&) = delete;

  void Start(const StartRequest& request, StartCallback callback) override;
  void Stop(const InstanceId& instance, Nanos grace, StopCallback callback) override;
  void Recover(RecoverCallback callback) override;
  void OnExit(ExitCallback callback) override { exit_ = std::move(callback); }
  absl::Status GuardSingle(Nanos until) override;

 private:
  enum class Phase { kStarting, kReady, kStopping, kEnding };
  struct Instance {
    InstanceRecord record;
    bool single = false;  // guarded
    Phase phase = Phase::kStarting;
    UniqueFd pidfd;  // watched while the leader lives
    std::string output_path;
    off_t output_begin = 0;
    std::unique_ptr<ReadinessProbe> probe;
    Reactor::TimerId timer = 0;  // the start's time-out, then the stop's grace
    Nanos kill_at = kForever;
    std::unique_ptr<TreeEnd> end;
    bool leader_was_watched = false;  // since its start, or since it was recovered
    bool report_exit = false;
    std::string exit_reason = "gone";
    absl::Status start_failure = absl::OkStatus();
    StartCallback start;
    std::vector<StopCallback> stops;
    Reactor::Callback gone;  // null, or what waits for a clean-up
  };
  struct Recovery;

  ProcessRuntime(Reactor& reactor, Options options, StateFolder state);
  void OpenCgroupRoot();
  void BecomeSubreaper();

  // lib/runtime/process.cc
  absl::Status Launch(const StartRequest& request, Instance& instance);
  void SetLimits(const StartRequest& request, std::vector<UniqueFd>* procs);
  absl::Status SpawnInto(const StartRequest& request, int output, Instance& instance);
  void WatchLeader(Instance& instance);
  void WaitForReadiness(const Spec& spec, Instance& instance);
  void OnReady(Instance& instance);
  void FailStart(Instance& instance, absl::Status failure);
  absl::Status MakeGuard();

  // lib/runtime/process_end.cc
  void OnLeaderExit(Instance& instance);
  void ReapLeader(Instance& instance);
  void EndTree(Instance& instance, Nanos kill_at);
  void Finish(Instance& instance);
  ProcessTree TreeOf(const Instance& instance) const;

  // lib/runtime/process_recover.cc
  void RecoverOne(InstanceRecord record, const std::shared_ptr<Recovery>& recovery);
  absl::StatusOr<bool> AdoptLeader(const InstanceRecord& record);
  void CleanUp(InstanceRecord record, const std::shared_ptr<Recovery>& recovery);
  void AnswerRecovery(const std::shared_ptr<Recovery>& recovery);

  void Later(Reactor::Callback callback);
  void Log(LogLevel level, absl::string_view message);

  Reactor& reactor_;
  Options options_;
  StateFolder state_;
  const std::string boot_id_;
  std::optional<CgroupRoot> cgroups_;
  LimitCgroups limits_;
  std::set<std::string, std::less<>> told_unlimited_;  // limits that cannot be enforced: each is told once
  std::unique_ptr<OrphanReaper> reaper_;
  std::unique_ptr<ProcessGuard> guard_;  // null: no instance has needed it
  Nanos guarded_until_ = 0;
  ExitCallback exit_;
  absl::flat_hash_map<InstanceId, std::unique_ptr<Instance>> instances_;
  absl::flat_hash_set<pid_t> leaders_;  // not yet reaped
  Reactor::TimerId recovery_timer_ = 0;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_PROCESS_H_
