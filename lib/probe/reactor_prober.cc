#include "lib/probe/reactor_prober.h"

#include <sys/epoll.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace fastcontainer {
namespace {

// What an administrator can change, as opposed to a machine in trouble (EMFILE, ENOBUFS, ENOMEM).
bool MeansNotPermitted(int error) {
  return error == EPERM || error == EACCES || error == EPROTONOSUPPORT || error == EAFNOSUPPORT;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ReactorProber>> ReactorProber::Open(Reactor& reactor) {
  std::unique_ptr<ReactorProber> prober(new ReactorProber(reactor));
  const int error = prober->core_.Open();
  if (error != 0 && !MeansNotPermitted(error)) return absl::ErrnoToStatus(error, prober->core_.problem());
  prober->mechanism_ = prober->core_.MechanismFor(AF_INET);
  if (error != 0) prober->problem_ = prober->core_.problem();
  absl::Status watched =
      reactor.Watch(prober->core_.fd(), EPOLLIN, [raw = prober.get()](uint32_t) { raw->Process(); });
  if (!watched.ok()) return watched;
  return prober;
}

ReactorProber::~ReactorProber() {
  reactor_.CancelTimer(timer_);
  if (core_.fd() >= 0) reactor_.Unwatch(core_.fd());
}

Prober::ProbeId ReactorProber::Probe(const Address& host, const ProbeOptions& options, Callback callback) {
  if (unused_.empty()) {
    waiting_.push_back({this, nullptr});
    unused_.push_back(&waiting_.back());
  }
  Waiting* const waiting = unused_.back();
  sockaddr_storage target;
  const socklen_t length = host.ToSockaddr(&target);
  ProbeCompletion completion;
  completion.run = &OnResult;
  completion.user_data = waiting;
  const uint64_t id = core_.Submit(reinterpret_cast<const sockaddr*>(&target), length, options, completion);
  if (id == 0) {
    reactor_.Defer([callback = std::move(callback)]() mutable {
      ProbeResult result;
      result.error = ENOMEM;
      callback(result);
    });
    return 0;
  }
  unused_.pop_back();
  waiting->callback = std::move(callback);
  if (!processing_) ArmTimer();
  return id;
}

bool ReactorProber::Cancel(ProbeId id) {
  auto* const waiting = static_cast<Waiting*>(core_.UserData(id));
  if (!core_.Cancel(id)) return false;
  waiting->callback = nullptr;
  unused_.push_back(waiting);
  return true;
}

void ReactorProber::NoteAlive(const Address& host, Nanos rtt) {
  sockaddr_storage raw;
  SocketAddress address;
  host.ToSockaddr(&raw);
  std::memcpy(&address, &raw, sizeof(address));
  core_.NoteAlive(address, rtt);
}

absl::Status ReactorProber::NoteConnection(int fd) {
  switch (const int error = core_.NoteConnection(fd); error) {
    case 0:
      return absl::OkStatus();
    case ENOENT:
      return absl::NotFoundError("the kernel has heard nothing from the peer yet");
    default:
      return absl::InvalidArgumentError(std::string("not a connected TCP socket: ") + std::strerror(error));
  }
}

void ReactorProber::OnResult(const ProbeCompletion& completion, const ProbeResult& result) {
  auto* const waiting = static_cast<Waiting*>(completion.user_data);
  Callback callback = std::move(waiting->callback);
  waiting->callback = nullptr;
  waiting->prober->unused_.push_back(waiting);
  callback(result);
}

void ReactorProber::Process() {
  processing_ = true;
  core_.Process();
  processing_ = false;
  ArmTimer();
}

void ReactorProber::ArmTimer() {
  const Nanos next = core_.NextDeadline();
  // A timer that fires for nothing, after an answer, costs less than moving it for every probe.
  if (next >= timer_at_) return;
  reactor_.CancelTimer(timer_);
  timer_at_ = next;
  timer_ = reactor_.At(next, [this] {
    timer_ = 0;
    timer_at_ = kForever;
    Process();
  });
}

absl::Status Prober::NoteConnection(int /*fd*/) {
  return absl::UnimplementedError("this prober takes no evidence from connections");
}

absl::StatusOr<std::unique_ptr<Prober>> OpenProber(Reactor& reactor, std::string* problem) {
  absl::StatusOr<std::unique_ptr<ReactorProber>> prober = ReactorProber::Open(reactor);
  if (!prober.ok()) return prober.status();
  if (problem != nullptr) *problem = (*prober)->problem();
  return *std::move(prober);
}

}  // namespace fastcontainer
