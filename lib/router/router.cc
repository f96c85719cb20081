#include "lib/router/router.h"

#include <utility>

#include "lib/router/core.h"

namespace fastcontainer {

Router::Core::Core(const RouterPorts& ports, std::unique_ptr<Channel> channel, RouterOptions options)
    : reactor_(ports.reactor),
      cmdb_(ports.cmdb),
      prober_(ports.prober),
      policy_(ports.policy),
      given_scores_(ports.scores),
      hook_(ports.hook),
      log_(ports.log),
      options_(std::move(options)),
      channel_(std::move(channel)),
      hosts_(reactor_, prober_, *channel_, *this,
             Hosts::Options{ProbeOptions{}, options_.paper ? 0 : options_.freshness, options_.guard,
                            options_.stream_guard, options_.service_deadline, options_.paper}),
      random_(options_.seed),
      budget_(options_.relocations_per_second, options_.relocation_burst) {
  channel_->SetCallbacks(
      [this](const Address& from, const PeerId&, const Message& message) { OnMessage(from, message); },
      [this](const Address& to, int error) { OnSendError(to, error); });
  directory_ =
      std::make_unique<Directory>(cmdb_, reactor_, *this, log_,
                                  Directory::Options{options_.seed, options_.snapshot,
                                                     options_.snapshot_every, ports.seal, options_.scores});
  directory_->Restore();
  ProbeLeases();
}

Router::Core::~Core() {
  shutting_down_ = true;
  const RouteError error{RouteCode::kShutdown, "the engine is being destroyed", 0};
  while (!waiters_.empty()) Finish(*waiters_.begin()->second, error);
  const std::vector<Container*> relocating(relocating_.begin(), relocating_.end());
  for (Container* c : relocating) EndRelocation(*c, false, error);
  const std::vector<Container*> asking(asking_.begin(), asking_.end());
  for (Container* c : asking) EndAsk(*c);
  for (const auto& [op, placing] : placing_) reactor_.CancelTimer(placing.first);
  Flush();
  // Their share is others' at once; tickets end with the engine.
  for (Lease* const lease : active_) {
    lease->open = 0;
    if (lease->usable) SendLease(*lease, MessageType::kRelease);
  }
  for (const Prober::ProbeId probe : witness_probes_) prober_.Cancel(probe);
  for (const auto& [host, inquiry] : inquiries_) reactor_.CancelTimer(inquiry->timer);
  ForgetHeartbeats();
  reactor_.CancelTimer(renew_timer_);
  reactor_.CancelTimer(sweep_timer_);
  reactor_.CancelTimer(idle_timer_);
  channel_->SetCallbacks(nullptr, nullptr);
}

void Router::Core::Log(LogLevel level, std::string_view message) {
  if (log_ != nullptr && *log_) (*log_)(level, "router", message);
}

RouterStats Router::Core::Stats() const {
  RouterStats out = stats_;
  out.probes = hosts_.probes;
  out.verdict_up = hosts_.verdict_up;
  out.verdict_down = hosts_.verdict_down;
  out.verdict_service_down = hosts_.verdict_service_down;
  out.local_faults = hosts_.local_faults;
  out.bad_mac = channel_->stats().bad_mac;
  out.replayed = channel_->stats().replayed;
  out.malformed = channel_->stats().malformed;
  out.second_key = channel_->stats().second_key;
  out.waiting = waiters_.size();
  out.hosts = hosts_.size();
  out.hosts_down = hosts_.down();
  out.hosts_overloaded = hosts_.CountOverloaded();
  out.containers = containers_.size();
  out.keys = keys_.size();
  directory_->AddTo(&out);
  return out;
}

Router::Router(const RouterPorts& ports, std::unique_ptr<Channel> channel, RouterOptions options)
    : core_(std::make_unique<Core>(ports, std::move(channel), std::move(options))) {}
Router::~Router() = default;

bool Router::RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket) {
  return core_->RouteWarm(key, options, ticket);
}
RouteCode Router::Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                        RouteCallback callback, void* user_data) {
  return core_->Route(key, options, ticket, op, callback, user_data);
}
RouteCode Router::EndTicket(TicketId ticket, Outcome outcome, Nanos duration) {
  return core_->EndTicket(ticket, outcome, duration);
}
RouteCode Router::NoteAlive(TicketId ticket) { return core_->NoteAlive(ticket); }
RouteCode Router::Retry(TicketId ticket, const Attempt& attempt, const RouteOptions& options, Ticket* next,
                        RouteOp* op, RouteCallback callback, void* user_data) {
  return core_->Retry(ticket, attempt, options, next, op, callback, user_data);
}
bool Router::Cancel(RouteOp op) { return core_->Cancel(op); }
RouteOp Router::Place(std::string_view container, std::string_view host, std::string_view reason,
                      PlaceCallback callback) {
  return core_->Place(container, host, reason, std::move(callback));
}
void Router::SetKeys(std::vector<ClusterKey> keys) { core_->SetKeys(std::move(keys)); }
Prober& Router::echo_prober() { return core_->echo_prober(); }
const HostTable& Router::host_table() { return core_->Table(); }
RouterStats Router::Stats() const { return core_->Stats(); }

}  // namespace fastcontainer
