// The router's state and its parts. One class, several files by subject: route.cc (requests and queues),
// tickets.cc, container.cc (its records), ask.cc (the dispatch protocol), relocate.cc, place.cc, order.cc
// (which host is better), idle.cc, verdicts.cc (what follows when a host is lost, and whether to believe it),
// confirm.cc (what peers say of it), heartbeats.cc (what the CMDB says of it), overload.cc.
#ifndef FASTCONTAINER_LIB_ROUTER_CORE_H_
#define FASTCONTAINER_LIB_ROUTER_CORE_H_

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "lib/router/container.h"
#include "lib/router/directory.h"
#include "lib/router/hosts.h"
#include "lib/router/key_table.h"
#include "lib/router/pool.h"
#include "lib/router/router.h"
#include "lib/router/token_bucket.h"

namespace fastcontainer {

inline namespace routing {

// Starts that nobody may need: few a second, and enough at once for a host whose containers are in use.
inline constexpr double kPreparesPerSecond = 10;
inline constexpr double kPrepareBurst = 40;

inline constexpr int kMostRounds = 3;

// What the peers were asked of one host, and what each has answered.
struct Inquiry {
  uint64_t request = 0;  // 0: nothing yet
  Nanos asked = 0;
  int tries = 0;
  bool over = false;  // who has not answered will not
  std::vector<PeerVerdict> answers;
  Reactor::TimerId timer = 0;
};

// Whether a host's heartbeat is still in the CMDB.
struct HeartbeatLook {
  Cmdb::OpId read = 0;
  Reactor::TimerId timer = 0;  // until the next reading
  bool absent = false;
  Nanos absent_at = 0;
};

struct Heartbeats {
  Cmdb::OpId probe = 0;
  bool unsupported = false;  // the CMDB has no leases
  absl::flat_hash_map<const HostState*, std::unique_ptr<HeartbeatLook>> of;
};

struct PeerQuestion {
  Address from;
  uint64_t request = 0;
};

}  // namespace routing

class Router::Core final : public HostObserver, public Directory::Observer {
 public:
  Core(const RouterPorts& ports, std::unique_ptr<Channel> channel, RouterOptions options);
  ~Core() override;

  // route.cc
  bool RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket);
  RouteCode Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                  RouteCallback callback, void* user_data);
  RouteCode EndTicket(TicketId ticket, Outcome outcome, Nanos duration);
  RouteCode NoteAlive(TicketId ticket);
  RouteCode Retry(TicketId ticket, const Attempt& attempt, const RouteOptions& options, Ticket* next,
                  RouteOp* op, RouteCallback callback, void* user_data);
  bool Cancel(RouteOp op);
  // relocate.cc
  RouteOp Place(std::string_view container, std::string_view host, std::string_view reason,
                PlaceCallback callback);
  Prober& echo_prober() { return hosts_.echo_prober(); }
  void SetKeys(std::vector<ClusterKey> keys) {
    directory_->SetKeys(keys);
    channel_->SetKeys(std::move(keys));
  }
  const HostTable& Table() { return hosts_.Table(reactor_.Now()); }
  RouterStats Stats() const;

 private:
  // A call to the user that is due: they run from the loop, with nothing of the router below them on the
  // stack.
  struct Completion {
    RouteOp op = 0;
    RouteCallback route = nullptr;
    void* user_data = nullptr;
    RouteCode code = RouteCode::kOk;
    Ticket ticket;
    RouteError error;
    LostCallback lost = nullptr;
    LostReason lost_reason = LostReason::kHostDown;
    PlaceCallback place;
    Placed placed;
  };

  // Directory::Observer
  void OnKey(std::string_view key, std::string_view container) override;
  void OnHost(std::string_view id, const Host* record) override;
  void OnContainer(std::string_view container) override;
  void OnClass(std::string_view class_name) override;
  void OnScores(std::string_view class_name, const std::string* json) override;
  void OnProgress() override;
  // HostObserver
  void OnHostUp(HostState& host) override;
  void OnHostDown(HostState& host) override;
  void OnServiceDown(HostState& host, bool refused, Nanos check_started) override;
  void OnLocalFault(HostState& host, int error) override;
  void OnHostSuspect(HostState& host) override;
  void OnServiceSuspect(HostState& host, Nanos check_started) override;
  static bool StillAnswers(const Container& c, Nanos since);
  // Has the next hosts of what is waited for here asked, and the first of them start it.
  void Prepare(HostState& host, absl::FunctionRef<bool(const Container&)> spared);
  ProbeOptions GuardProbe(const HostState& host) override;

  // route.cc
  RouteCode Enqueue(Container* container, std::string key, const RouteOptions& options, uint32_t attempt,
                    uint32_t written, Nanos created, RouteOp* op, RouteCallback callback, void* user_data,
                    Nanos pause = 0);
  void ResolveKey(Waiter& waiter);
  void Pump(Container& c);
  void Serve(Container& c);
  bool Usable(const Container& c, Nanos now) const;
  void OpenTicket(Lease& lease, const RouteOptions& options, uint32_t attempt, uint32_t written,
                  Nanos created, Ticket* out);
  static void TellPhases(const Container& c, const Waiter& w, Nanos now, Ticket* out);
  TicketSlot* FindTicket(TicketId id);
  void CloseTicket(TicketSlot& slot);
  void NoteOutcome(Lease& lease, Outcome outcome, Nanos duration, Nanos now);
  void Finish(Waiter& waiter, const RouteError& error);
  void Forget(Waiter& waiter);
  void FailAll(Container& c, RouteError error);
  void Complete(Completion completion);
  void Flush();
  void LoseTickets(HostState& host, const Container* only, LostReason reason);
  void Sweep();
  void ArmSweep();
  ProbeOptions ProbeOf(const Container& c) const;

  // container.cc
  Container& Find(std::string_view id);
  bool Load(Container& c);
  void ReadRecords(Container& c, const Directory::ContainerRecords& records);
  void PlaceAt(Container& c, HostState* host);
  void SetHost(Container& c, HostState* host);
  void Reread(Container& c);

  // idle.cc
  bool Idle(const Container& c, Nanos now) const;
  void Leave(Container& c);
  void LookForIdle();
  void ArmIdle();

  // ask.cc
  void OnMessage(const Address& from, const Message& message);
  void OnSendError(const Address& to, int error);
  void BeginAsk(Container& c, Nanos delay = 0);
  void SendAskAfter(Container& c, Nanos delay);
  void SendAsk(Container& c);
  void EndAsk(Container& c);
  void OnGrant(Container& c, HostState& host, const Message& message, Nanos now);
  void OnRevoke(Container& c, HostState& host, const Message& message);
  void AnswerLateRevoke(const Container& c, const HostState& host, const Message& message);
  void OnMoved(Container& c, const Message& message);
  void OnFull(Container& c, HostState& host, const Message& message, Nanos now);
  void OnFailed(Container& c, const Message& message, Nanos now);
  Lease& NewLease(Container& c);
  Lease& InstallLease(Container& c, HostState& host, const Message& message);
  void Renew();
  void ArmRenew();
  void Report(Lease& lease);
  void WantSlots(Container& c);
  void SendLease(const Lease& lease, MessageType type);
  void Resume(Container& c);
  void DropLease(Container& c, bool release);
  void SendPrepare(const Container& c, HostState& suspect, HostState& candidate);
  void Retire(Lease& lease);

  // relocate.cc
  void Relocate(Container& c, std::string reason);
  void BeginRelocation(Container& c, std::unique_ptr<Relocation> relocation);
  void Admit(Container& c);
  bool Rank(Container& c, std::vector<HostState*>* out);
  void Choose(Container& c);
  void ChooseAgain();  // a verdict on some host has come
  void Swap(Container& c, HostState& host);
  void OnSwapped(Container& c, TxnResult result);
  void Reconcile(Container& c);
  void EndRelocation(Container& c, bool won, const RouteError& error);
  bool RunHook(HookPoint point, const Container& c, const HostState& host, const HostState* from,
               uint64_t epoch, std::string_view reason);
  bool PlaceNow(Container& c, const std::string& wanted, const std::string& why, RouteOp op, Nanos until,
                PlaceCallback& callback);
  void TryPlace(Container& c, std::string wanted, std::string why, RouteOp op, Nanos until,
                PlaceCallback callback);
  std::vector<HostState*> Candidates(Container& c, const HostState* from, size_t most);
  std::string NewOp();
  std::string Stages(const Relocation& r) const;

  // order.cc
  // The user's policy's order, else that of the scores, else the built-in policy's.
  size_t Order(const PlacementRequest& request, const HostTable& table, absl::Span<uint32_t> rows);
  bool OrderByPolicy(const PlacementRequest& request, const HostTable& table, absl::Span<uint32_t> rows,
                     size_t* count);
  ScoreTables::Found FindScores(std::string_view class_name, std::shared_ptr<ScoreTable>* out) const;

  // verdicts.cc
  void LoseHost(HostState& host, absl::FunctionRef<bool(const Container&)> spared, LostReason reason,
                const char* why);
  enum class Admission : uint8_t { kYes, kWait, kNo };
  Admission MayBelieve(Nanos now);
  void AskWitnesses();
  void WitnessAnswered(bool up);
  bool LookAgain(Container& c);  // whether it does
  void EndLook(Container& c, bool late);
  void RunHostHook(HookPoint point, const HostState& host);

  // confirm.cc
  void AskPeers(HostState& host);
  void SendPeerProbes(HostState& host);
  void PeersWereSilent(HostState& host);
  Admission Confirmed(HostState& host);
  void OnPeerProbe(const Address& from, const Message& message);
  void SendPeerVerdict(const Address& to, uint64_t request, const std::string& host, PeerVerdict verdict);
  void AnswerPeers(HostState& host, PeerVerdict verdict);
  void OnPeerVerdict(const Address& from, const Message& message);
  bool PeerReaches(const HostState& host) const;
  void EndVetoed(Container& c);
  void AdmitWaiting();

  // heartbeats.cc
  void ProbeLeases();
  Admission HeartbeatGone(Container& c);
  void LookForHeartbeat(HostState& host);
  void StillBeating(HostState& host);
  bool AwaitsHeartbeat(const Container& c, const HostState& host) const;
  RouteError HeldUp(const Container& c) const;
  void HostIsBack(HostState& host);
  void ForgetHeartbeats();

  // overload.cc
  void LeaveOverloaded(Nanos now);

  void Log(LogLevel level, std::string_view message);
  bool InUse(const HostState& host) const { return host.used_by > 0; }

  Reactor& reactor_;
  Cmdb& cmdb_;
  Prober& prober_;
  Policy* const policy_;  // the user's, may be null
  const ScoreTables* const given_scores_;
  ScoreTables published_scores_;
  KeyedChoices built_in_policy_;
  Nanos policy_silent_until_ = 0;  // a useless answer is logged then again
  Nanos scores_silent_until_ = 0;  // a useless table, too
  Hook* const hook_;
  LogSink* const log_;
  const RouterOptions options_;
  std::unique_ptr<Channel> channel_;
  Hosts hosts_;
  std::unique_ptr<Directory> directory_;
  std::mt19937_64 random_;
  RouterStats stats_;
  bool shutting_down_ = false;

  Pool<Lease> lease_pool_;  // before what is made from it
  Pool<Container> container_pool_;
  KeyTable<Container> keys_;
  absl::flat_hash_map<std::string, Pool<Container>::Ptr> containers_;
  absl::flat_hash_map<const HostState*, ContainerSet> on_host_;
  absl::flat_hash_map<RouteOp, std::unique_ptr<Waiter>> waiters_;
  std::vector<Waiter*> resolving_;  // their key is being looked up
  ContainerSet loading_;            // their records are being read
  ContainerSet relocating_;
  ContainerSet asking_;
  // Place() that waits for records.
  absl::flat_hash_map<RouteOp, std::pair<Reactor::TimerId, Container*>> placing_;
  std::deque<Container*> ages_;  // all; who was looked at last stands last
  Reactor::TimerId idle_timer_ = 0;
  RouteOp next_op_ = 1;
  uint64_t next_request_ = 1;

  std::vector<TicketSlot> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<Lease*> active_;  // leases to renew
  size_t renew_next_ = 0;
  Reactor::TimerId renew_timer_ = 0;
  Reactor::TimerId sweep_timer_ = 0;
  std::deque<Completion> completions_;
  bool flush_due_ = false;
  const HostState* serving_ = nullptr;  // has just answered: its waiters need no other proof

  TokenBucket budget_;
  TokenBucket prepare_budget_{kPreparesPerSecond, kPrepareBurst};
  absl::flat_hash_map<const HostState*, TokenBucket> host_budget_;
  absl::flat_hash_map<const HostState*, std::unique_ptr<Inquiry>> inquiries_;
  absl::flat_hash_map<const HostState*, std::vector<PeerQuestion>> peer_questions_;
  Heartbeats heartbeats_;
  std::vector<std::pair<const HostState*, Nanos>> recent_down_;
  Nanos believed_until_ = 0;
  Nanos isolated_until_ = 0;
  uint32_t witnesses_asked_ = 0;
  std::vector<Prober::ProbeId> witness_probes_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_CORE_H_
