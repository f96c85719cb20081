// One container on this host: whether it runs, who waits for it, who holds leases on it.
#ifndef FASTCONTAINER_LIB_DISPATCHER_CONTAINER_H_
#define FASTCONTAINER_LIB_DISPATCHER_CONTAINER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/dispatcher/context.h"
#include "lib/dispatcher/leases.h"
#include "lib/dispatcher/placement_read.h"
#include "lib/dispatcher/timer.h"
#include "lib/dispatcher/unfence.h"

namespace fastcontainer {

//            read: (self, epoch)          ready
//   kAbsent ─────────────────▶ kStarting ───────▶ kRunning ◀──┐ an ACQUIRE takes the stop back
//      ▲                           │                 │ REVOKE │
//      │                           ▼                 ▼        │
//      └──────────────────────  kStopping ◀───── kRevoking ───┘
//         nothing of it is left          tickets have ended
class Container {
 public:
  enum class State : uint8_t { kAbsent, kStarting, kRunning, kRevoking, kStopping };
  // Why an instance is being stopped.
  enum class Cause : uint8_t { kIdle, kLife, kMoved, kRefuses, kDrain, kFenced };

  Container(DispatcherContext& context, std::string name, uint32_t replica);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  // An instance goes on running; readings and timers are cancelled.
  ~Container();

  // Questions (container_questions.cc).
  void Acquire(const Address& from, const PeerId& peer, const Message& question);
  void Renew(const Address& from, const PeerId& peer, const Message& question);
  void Release(const PeerId& peer, const Message& question);
  void Prepare(const Message& question);  // container_prepare.cc

  // Takes over an instance that an earlier incarnation started; there must be none yet.
  void Adopt(const RunningInstance& instance);
  // Something of it that was found at the start is being killed: nothing is started meanwhile.
  void AddStray() { ++strays_; }
  void StrayGone();
  // The heartbeat of this host holds again, or does not hold any more (container_single.cc).
  void OnHeartbeat(bool holds);
  // Whether the instance was started with Writers::kSingle: its id says so, which every runtime remembers.
  static constexpr const char* kSingleMark = "-single";
  static bool IsSingle(const InstanceId& instance);
  // The instance ended by itself.
  void Exited(const std::string& reason);
  // The placement may have changed: reads it, and stops or keeps what runs.
  void Reread();
  // The store was put back to an older copy: what it has confirmed is forgotten.
  void OnRestored();
  // Stops for good; nothing is started while the dispatcher drains.
  void Drain(Nanos deadline);

  const std::string& name() const { return name_; }
  uint32_t replica() const { return replica_; }
  State state() const { return state_; }
  const std::string& instance() const { return instance_; }
  bool has_instance() const { return state_ != State::kAbsent; }
  // Nothing of it is here, nobody asks, and it is not known to belong here.
  bool forgettable() const {
    return !has_instance() && waiters_.empty() && !read_.busy() && confirmed_epoch_ == 0 && strays_ == 0 &&
           !unfence_.busy();
  }
  // Its placement may concern this host: what runs, and where a loss must be told to others.
  bool wants_watch() const { return has_instance() || (confirmed_epoch_ != 0 && NextIsSingle()); }
  bool confirmed_instance() const { return has_instance() && !prepared_; }
  bool failing() const { return state_ == State::kAbsent && failures_ != 0; }
  ContainerInfo Info() const;
  size_t leases() const { return leases_.size(); }

  bool watched = false;  // the owner's mark: its shard is watched for it

 private:
  struct Waiter {
    Address from;
    uint64_t request_id = 0;
    uint64_t epoch = 0;  // the least that it accepts
    uint32_t open = 0;
    uint32_t waiting = 0;
    uint64_t round = 0;    // the first reading that began after its question
    bool suspect = false;  // look before granting
  };
  using Waiters = std::map<PeerId, Waiter>;

  // Readings (container_read.cc).
  void NeedRead(Waiter* waiter);
  void OnRead(const ReadResult& result);
  void ReadFailed(const ReadResult& result);
  void NotHere(const Replica* replica, const ReadResult& result);
  void Here(uint64_t epoch, const ReadResult& result);

  // Writers::kSingle (container_single.cc).
  void HereSingle(const ReadResult& result);
  void NotHereSingle(const ReadResult& result);
  std::string SingleRefusal() const;
  void Fence(const std::string& why);
  bool SingleRuns() const { return has_instance() && spec_known_ && spec_.writers == Writers::kSingle; }
  bool NextIsSingle() const { return next_spec_ && next_spec_->writers == Writers::kSingle; }
  // Reads again if somebody asked after the last reading began.
  void ReadForLate();
  // The instance's life (container.cc).
  void Serve();
  void StartInstance(uint64_t epoch, bool prepared);
  bool Admit(const Spec& spec, std::string* reason) const;
  absl::StatusOr<uint16_t> ChoosePort(const Spec& spec);
  std::string NewInstanceId(uint64_t epoch);
  void OnStarted(const absl::Status& status);
  void StartFailed(const absl::Status& status);
  void SetState(State state);
  // "<container> <event>".
  void Log(LogLevel level, std::string_view event) const;
  bool LivedWell() const;
  void RaiseBackoff(bool first_is_free);
  Nanos BackoffLeft() const;
  void WaitOutBackoff();
  void SetInstance(const InstanceId& instance, uint64_t epoch, const Address& address);
  void LearnSpec(const Spec& spec);

  // Before it is placed here (container_prepare.cc).
  void StartPrepared(const Replica* replica, const ReadResult& result);
  void ConfirmPrepared();
  void EndPrepared();

  // Its end (container_stop.cc).
  void Tick();
  void ArmTick();
  void CheckIdle();
  void CheckLife();
  void BeginStop(Cause cause, const std::string& reason, Nanos deadline);
  bool TakeStopBack();
  void StopWhenQuiet();
  void StopNow();
  void OnStopped(const absl::Status& status);
  void Gone();
  bool HasTickets() const { return leases_.open() + leases_.waiting() != 0 || !waiters_.empty(); }

  // Answers (container_questions.cc).
  Message Answer(MessageType type) const;
  Message Answer(MessageType type, const Waiter& waiter) const;
  void SendWait(const Waiter& waiter);
  void GrantWaiters();
  void Grant(const std::vector<Waiters::iterator>& waiters);
  void SendGrant(Lease* lease, uint64_t request_id);
  void Divide();
  void DivideSlots();
  void PushShares();
  void SendRevoke(const Address& to, uint64_t instance);
  void RevokeAll();
  void MoveWaiters(uint64_t epoch, const std::string& host, bool only_newer_than);
  void RefuseWaiters(MessageType type, const std::string& reason, Nanos retry_after);
  void LookAfter();
  void Looked(bool listens);

  DispatcherContext& context_;
  const std::string name_;
  const uint32_t replica_;
  State state_ = State::kAbsent;

  // What the CMDB last said. 0: not here, or not known.
  uint64_t confirmed_epoch_ = 0;
  std::optional<Spec> next_spec_;  // for the next start
  std::string next_spec_revision_;
  uint64_t round_ = 0;       // counts readings
  bool read_again_ = false;  // the placement changed while one was in progress
  PlacementRead read_;
  Timer reread_;
  uint64_t read_term_ = 0;  // of the heartbeat when the last reading began
  Unfence unfence_;
  uint32_t strays_ = 0;

  // The instance; valid unless kAbsent.
  InstanceId instance_;
  uint64_t instance_hash_ = 0;
  uint64_t epoch_ = 0;
  Address address_;
  Spec spec_;
  bool spec_known_ = false;   // false: adopted, and not read yet
  bool provisional_ = false;  // adopted, and the CMDB has not confirmed it yet
  bool prepared_ = false;     // started for a placement that nobody has written yet: it serves nobody
  Nanos started_at_ = 0;
  Nanos ready_at_ = 0;
  Nanos named_until_ = 0;       // until then a lease could name address_; 0: none does
  Nanos quiet_since_ = 0;       // no tickets since
  Nanos retire_at_ = kForever;  // the end of its fixed life
  bool looking_ = false;        // whether it still listens
  Timer tick_;                  // lease expiry and idle time

  Cause cause_ = Cause::kIdle;  // kRevoking, kStopping
  std::string stop_reason_;
  Nanos stop_deadline_ = 0;
  Nanos stop_began_ = 0;  // kStopping
  Timer stop_;

  StartTime start_time_;
  uint32_t failures_ = 0;  // in a row
  uint32_t port_tries_ = 0;
  Nanos retry_at_ = 0;
  bool lived_ = false;  // the last failure was an end after it had been ready
  Timer backoff_;
  std::string last_failure_;

  uint64_t prepare_epoch_ = 0;  // of a PREPARE that waits for a reading; 0: none
  Nanos prepare_until_ = 0;
  Timer prepare_;

  Waiters waiters_;
  Leases leases_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what nobody can cancel
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_CONTAINER_H_
