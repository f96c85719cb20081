// What a dispatcher finds when it comes back: instances to adopt, and remains to clean up.
#include <poll.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/runtime/proc.h"
#include "lib/runtime/process.h"

namespace fastcontainer {
namespace {

// A process that even SIGKILL does not end (it hangs in a system call) must not keep the dispatcher from
// serving.
constexpr Nanos kLongestCleanUp = 10 * kSecond;

}  // namespace

struct ProcessRuntime::Recovery {
  RecoverCallback callback;
  absl::Status status = absl::OkStatus();
  std::vector<RunningInstance> running;
  size_t cleaning = 0;
};

void ProcessRuntime::Recover(RecoverCallback callback) {
  absl::StatusOr<StateFolder::Listing> listing = state_.List();
  if (!listing.ok())
    return Later([callback = std::move(callback), status = listing.status()]() mutable { callback(status); });
  auto recovery = std::make_shared<Recovery>();
  recovery->callback = std::move(callback);
  for (InstanceRecord& record : listing->records) RecoverOne(std::move(record), recovery);
  for (const std::string& id : listing->corrupt) {
    Log(LogLevel::kError, absl::StrCat("the state of an instance is corrupt and was set aside in ",
                                       state_.path(), id.empty() ? "" : ": ", id));
    if (id.empty()) continue;
    InstanceRecord record;
    record.instance = id;
    if (cgroups_) record.cgroup = cgroups_->PathFor(id);
    CleanUp(std::move(record), recovery);
  }
  if (recovery->cleaning == 0) return Later([this, recovery] { AnswerRecovery(recovery); });
  recovery_timer_ = reactor_.After(kLongestCleanUp, [this, recovery] { AnswerRecovery(recovery); });
}

void ProcessRuntime::RecoverOne(InstanceRecord record, const std::shared_ptr<Recovery>& recovery) {
  if (record.boot_id != boot_id_) {
    if (const absl::Status removed = state_.Remove(record.instance); !removed.ok())
      Log(LogLevel::kWarning, removed.message());
    return;
  }
  const absl::StatusOr<bool> adopted = AdoptLeader(record);
  if (!adopted.ok()) {
    recovery->status = adopted.status();  // nothing is known of it: it is neither adopted nor touched
    return;
  }
  if (!*adopted) return CleanUp(std::move(record), recovery);
  recovery->running.push_back(RunningInstance{record.instance, record.container, record.replica, record.epoch,
                                              record.spec_revision, record.address, record.ready});
}

absl::StatusOr<bool> ProcessRuntime::AdoptLeader(const InstanceRecord& record) {
  if (record.pid <= 0) return false;
  // The descriptor first, then the comparison: the pid cannot change its owner in between unnoticed.
  UniqueFd pidfd(OpenPidfd(record.pid));
  if (!pidfd.valid() && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot adopt ", record.instance, ": ", std::strerror(errno)));
  const std::optional<ProcessStat> stat = ReadProcessStat(record.pid);
  if (!pidfd.valid() || !stat || stat->start_time != record.start_time || stat->dead()) return false;
  auto instance = std::make_unique<Instance>();
  instance->record = record;
  instance->phase = Phase::kReady;
  instance->report_exit = true;
  instance->leader_was_watched = true;
  instance->pidfd = std::move(pidfd);
  Instance& adopted = *instance;
  const absl::Status watched =
      reactor_.Watch(adopted.pidfd.get(), POLLIN, [this, &adopted](uint32_t) { OnLeaderExit(adopted); });
  if (!watched.ok())
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot adopt ", record.instance, ": ", watched.message()));
  leaders_.insert(record.pid);
  instances_[record.instance] = std::move(instance);
  return true;
}

void ProcessRuntime::CleanUp(InstanceRecord record, const std::shared_ptr<Recovery>& recovery) {
  auto instance = std::make_unique<Instance>();
  instance->record = std::move(record);
  instance->phase = Phase::kEnding;
  ++recovery->cleaning;
  instance->gone = [this, recovery] {
    if (--recovery->cleaning == 0) AnswerRecovery(recovery);
  };
  Instance& remains = *instance;
  instances_[remains.record.instance] = std::move(instance);
  EndTree(remains, reactor_.Now());
}

void ProcessRuntime::AnswerRecovery(const std::shared_ptr<Recovery>& recovery) {
  reactor_.CancelTimer(std::exchange(recovery_timer_, 0));
  if (!recovery->callback) return;
  RecoverCallback callback = std::move(recovery->callback);
  recovery->callback = nullptr;
  if (!recovery->status.ok()) return callback(recovery->status);
  // What has ended while remains were cleaned up is not running any more; what is ending will be told by
  // OnExit.
  std::erase_if(recovery->running,
                [this](const RunningInstance& found) { return !instances_.contains(found.instance); });
  callback(std::move(recovery->running));
}

}  // namespace fastcontainer
