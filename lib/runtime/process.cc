#include "lib/runtime/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/runtime/command.h"
#include "lib/runtime/output.h"
#include "lib/runtime/proc.h"
#include "lib/runtime/spawn.h"

namespace fastcontainer {
namespace {

Nanos SaturatingAdd(Nanos time, Nanos delay) { return delay > kForever - time ? kForever : time + delay; }

bool LeaderIsDead(int pidfd) {
  pollfd p{pidfd, POLLIN, 0};
  return poll(&p, 1, 0) > 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ProcessRuntime>> ProcessRuntime::Create(Reactor& reactor, Options options) {
  if (options.state_directory.empty())
    return absl::InvalidArgumentError("the runtime 'process' needs a state directory");
  if (options.log_directory.empty()) options.log_directory = options.state_directory + "/log";
  absl::StatusOr<StateFolder> state = StateFolder::Open(options.state_directory);
  if (!state.ok()) return state.status();
  std::error_code error;
  std::filesystem::create_directories(options.log_directory, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot make the log directory ", options.log_directory, ": ", error.message()));
  std::unique_ptr<ProcessRuntime> runtime(new ProcessRuntime(reactor, std::move(options), *std::move(state)));
  runtime->OpenCgroupRoot();
  runtime->BecomeSubreaper();
  return runtime;
}

ProcessRuntime::ProcessRuntime(Reactor& reactor, Options options, StateFolder state)
    : reactor_(reactor), options_(std::move(options)), state_(std::move(state)), boot_id_(ReadBootId()) {}

ProcessRuntime::~ProcessRuntime() {
  reactor_.CancelTimer(recovery_timer_);
  for (const auto& [id, instance] : instances_) {
    reactor_.CancelTimer(instance->timer);
    if (instance->pidfd.valid()) reactor_.Unwatch(instance->pidfd.get());
  }
}

void ProcessRuntime::OpenCgroupRoot() {
  if (options_.cgroup == CgroupUse::kOff) return;
  // One folder for each state folder, so that two dispatchers of one machine do not meet.
  const std::string& path = state_.path();
  const std::string name = absl::StrFormat("%016x", XXH3_64bits(path.data(), path.size()));
  absl::StatusOr<CgroupRoot> root = CgroupRoot::Open(options_.cgroup_root, name);
  if (root.ok())
    cgroups_ = *std::move(root);
  else
    Log(LogLevel::kInfo, absl::StrCat("containers are told by session and environment, not by cgroup: ",
                                      root.status().message()));
  limits_ = LimitCgroups(LimitCgroups::FindRoots(cgroups_ ? cgroups_->path() : "", name));
}

void ProcessRuntime::BecomeSubreaper() {
  if (!options_.subreaper) return;
  reaper_ = std::make_unique<OrphanReaper>(reactor_, [this](pid_t pid) { return leaders_.contains(pid); });
}

void ProcessRuntime::Later(Reactor::Callback callback) {
  reactor_.Defer([alive = std::weak_ptr<bool>(alive_), callback = std::move(callback)]() mutable {
    if (!alive.expired()) callback();
  });
}

void ProcessRuntime::Log(LogLevel level, absl::string_view message) {
  if (options_.log) options_.log(level, "runtime", std::string_view(message.data(), message.size()));
}

void ProcessRuntime::Start(const StartRequest& request, StartCallback callback) {
  auto instance = std::make_unique<Instance>();
  const absl::Status status = Launch(request, *instance);
  if (!status.ok()) return Later([callback = std::move(callback), status]() mutable { callback(status); });
  Instance& started = *instance;
  started.start = std::move(callback);
  leaders_.insert(started.record.pid);
  Log(LogLevel::kInfo, absl::StrCat(request.container, " started: pid ", started.record.pid, ", address ",
                                    request.address.ToString()));
  instances_[request.instance] = std::move(instance);
  WatchLeader(started);
  if (started.phase == Phase::kStarting) WaitForReadiness(request.spec, started);
}

absl::Status ProcessRuntime::Launch(const StartRequest& request, Instance& instance) {
  if (absl::Status status = CheckStartRequest(request); !status.ok()) return status;
  if (instances_.contains(request.instance))
    return absl::AlreadyExistsError(absl::StrCat("the instance ", request.instance, " exists"));
  if (absl::Status status = CheckAddressFree(request.address); !status.ok()) return status;
  instance.single = request.spec.writers == Writers::kSingle;
  if (instance.single && guard_ == nullptr)
    if (absl::Status status = MakeGuard(); !status.ok()) return status;
  absl::StatusOr<OutputFile> output =
      OpenOutput(options_.log_directory, request.container.empty() ? request.instance : request.container);
  if (!output.ok()) return output.status();
  instance.output_path = output->path;
  instance.output_begin = output->begin;

  InstanceRecord& record = instance.record;
  record.instance = request.instance;
  record.container = request.container;
  record.replica = request.replica;
  record.epoch = request.epoch;
  record.spec_revision = request.spec_revision;
  record.address = request.address;
  record.boot_id = boot_id_;
  if (cgroups_) record.cgroup = cgroups_->PathFor(record.instance);
  // The intent: should this process die after the spawn, the next incarnation knows what to look for.
  if (absl::Status status = state_.Write(record); !status.ok()) return status;
  const absl::Status status = SpawnInto(request, output->fd.get(), instance);
  if (status.ok()) return status;
  if (!record.cgroup.empty()) RemoveInstanceCgroup(record.cgroup);
  limits_.Remove(record.instance);
  if (const absl::Status removed = state_.Remove(record.instance); !removed.ok())
    Log(LogLevel::kWarning, removed.message());
  return status;
}

void ProcessRuntime::SetLimits(const StartRequest& request, std::vector<UniqueFd>* procs) {
  for (const std::string_view limit : limits_.Set(request.instance, request.spec.limits, procs)) {
    if (!told_unlimited_.emplace(limit).second) continue;
    Log(LogLevel::kWarning, absl::StrCat(std::string(limit), " of ", request.container,
                                         " is not enforced: no controller of the kernel can be used here"));
  }
}

absl::Status ProcessRuntime::SpawnInto(const StartRequest& request, int output, Instance& instance) {
  InstanceRecord& record = instance.record;
  SpawnRequest spawn;
  spawn.arguments = CommandArguments(request);
  spawn.environment = CommandEnvironment(request);
  spawn.programs = ProgramPaths(spawn.arguments[0], spawn.environment);
  spawn.directory = request.spec.directory;
  spawn.output = output;
  UniqueFd procs;
  UniqueFd folder;
  if (cgroups_) {
    absl::StatusOr<UniqueFd> made = cgroups_->Make(record.instance);
    if (made.ok())
      procs = *std::move(made);
    else
      Log(LogLevel::kWarning, made.status().message());
    spawn.cgroup_procs = procs.get();
    folder = UniqueFd(open(record.cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    spawn.cgroup = procs.valid() ? folder.get() : -1;
  }
  std::vector<UniqueFd> limits;
  SetLimits(request, &limits);
  for (const UniqueFd& limit : limits) spawn.limit_procs.push_back(limit.get());
  absl::StatusOr<SpawnedProcess> spawned = Spawn(spawn);
  if (!spawned.ok()) return spawned.status();
  if (!spawned->in_cgroup && !record.cgroup.empty()) {
    RemoveInstanceCgroup(record.cgroup);
    record.cgroup.clear();
  }
  if (!spawned->limited)
    Log(LogLevel::kWarning, absl::StrCat("the limits of ", request.container, " are not enforced: refused"));
  record.pid = spawned->pid;
  if (instance.single)
    if (const absl::Status guarded = guard_->Add(record.pid, record.cgroup); !guarded.ok())
      Log(LogLevel::kError, guarded.message());  // the next GuardSingle() makes another one
  instance.pidfd = std::move(spawned->pidfd);
  instance.leader_was_watched = true;
  if (const std::optional<ProcessStat> stat = ReadProcessStat(record.pid))
    record.start_time = stat->start_time;
  if (const absl::Status status = state_.Write(record); !status.ok())
    Log(LogLevel::kWarning, absl::StrCat(record.instance, " could not be adopted now: ", status.message()));
  return absl::OkStatus();
}

absl::Status ProcessRuntime::MakeGuard() {
  absl::StatusOr<std::unique_ptr<ProcessGuard>> made = ProcessGuard::Create();
  if (!made.ok()) return made.status();
  guard_ = *std::move(made);
  absl::Status status = guard_->Until(guarded_until_);
  for (const auto& [id, instance] : instances_)
    if (instance->single) status.Update(guard_->Add(instance->record.pid, instance->record.cgroup));
  return status;
}

absl::Status ProcessRuntime::GuardSingle(Nanos until) {
  guarded_until_ = until;
  if (guard_ == nullptr || guard_->Until(until).ok()) return absl::OkStatus();
  Log(LogLevel::kError, "the guard of `single` containers has ended; another one is made");
  return MakeGuard();
}

void ProcessRuntime::WatchLeader(Instance& instance) {
  const absl::Status status =
      reactor_.Watch(instance.pidfd.get(), POLLIN, [this, &instance](uint32_t) { OnLeaderExit(instance); });
  if (!status.ok()) FailStart(instance, absl::ResourceExhaustedError(status.message()));
}

void ProcessRuntime::WaitForReadiness(const Spec& spec, Instance& instance) {
  instance.probe = std::make_unique<ReadinessProbe>(reactor_, instance.record.address, spec.ready_http,
                                                    [this, &instance] { OnReady(instance); });
  const Nanos timeout = spec.ready_timeout;
  instance.timer = reactor_.At(SaturatingAdd(reactor_.Now(), timeout), [this, &instance, timeout] {
    instance.timer = 0;
    std::string message = absl::StrFormat("not ready after %.3g s", static_cast<double>(timeout) / kSecond);
    const std::string tail = OutputTail(instance.output_path, instance.output_begin);
    if (!tail.empty()) absl::StrAppend(&message, "; the end of its output: ", tail);
    FailStart(instance, absl::DeadlineExceededError(message));
  });
}

void ProcessRuntime::OnReady(Instance& instance) {
  instance.probe.reset();
  // It may have died while somebody else answered at its address; then its descriptor says so next.
  if (LeaderIsDead(instance.pidfd.get())) return;
  reactor_.CancelTimer(std::exchange(instance.timer, 0));
  instance.phase = Phase::kReady;
  instance.report_exit = true;
  instance.record.ready = true;
  if (const absl::Status status = state_.Write(instance.record); !status.ok())
    Log(LogLevel::kWarning,
        absl::StrCat(instance.record.instance, " would be recovered as not ready: ", status.message()));
  StartCallback callback = std::move(instance.start);
  callback(absl::OkStatus());
}

void ProcessRuntime::FailStart(Instance& instance, absl::Status failure) {
  instance.start_failure = std::move(failure);
  instance.phase = Phase::kEnding;
  EndTree(instance, reactor_.Now());
}

void ProcessRuntime::Stop(const InstanceId& id, Nanos grace, StopCallback callback) {
  const auto found = instances_.find(id);
  if (found == instances_.end())
    return Later([callback = std::move(callback), id]() mutable {
      callback(absl::NotFoundError(absl::StrCat("there is no instance ", id)));
    });
  Instance& instance = *found->second;
  instance.stops.push_back(std::move(callback));
  if (instance.phase == Phase::kEnding) return;
  const bool first = instance.phase != Phase::kStopping;
  if (instance.phase == Phase::kStarting)
    instance.start_failure = absl::CancelledError("it was stopped before it was ready");
  instance.phase = Phase::kStopping;
  instance.probe.reset();
  instance.kill_at = std::min(instance.kill_at, SaturatingAdd(reactor_.Now(), std::max<Nanos>(grace, 0)));
  if (instance.end != nullptr) return instance.end->KillAt(instance.kill_at);
  // The leader is unreaped or alive: the group is still its own.
  if (first && grace > 0 && !LeaderIsDead(instance.pidfd.get())) kill(-instance.record.pid, SIGTERM);
  reactor_.CancelTimer(instance.timer);
  instance.timer = reactor_.At(instance.kill_at, [this, &instance] {
    instance.timer = 0;
    EndTree(instance, instance.kill_at);
  });
}

}  // namespace fastcontainer
