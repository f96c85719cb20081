// The router's side of the dispatch protocol: questions, leases and their renewal.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kAskFirst = 3 * kMillisecond;
constexpr Nanos kAskLast = 1 * kSecond;
constexpr Nanos kAskWhileStarting = 250 * kMillisecond;
constexpr Nanos kRenewEvery = 1 * kSecond;
constexpr size_t kRenewAtOnce = 64;
constexpr Nanos kWantEvery = 100 * kMillisecond;
// A lease is given up so long before its dispatcher would: more than a datagram and a loop may be late.
constexpr Nanos kLeaseMargin = 500 * kMillisecond;
constexpr Nanos kFullHolds = 1 * kSecond;
// While every host is only busy, as after the loss of one that ran many containers, its requests wait so
// long.
constexpr Nanos kMostBusy = 20 * kSecond;

}  // namespace

void Router::Core::BeginAsk(Container& c, Nanos delay) {
  c.ask = Ask{};
  c.ask.request = next_request_++;
  c.ask.host = c.host;
  c.ask.began = reactor_.Now();
  ++c.host->asking;
  asking_.insert(&c);
  hosts_.Guard(*c.host);
  if (delay != 0) return SendAskAfter(c, delay);
  c.busy_since = 0;
  SendAsk(c);
}

// Spread: those who asked together must not ask together again.
void Router::Core::SendAskAfter(Container& c, Nanos delay) {
  delay += static_cast<Nanos>(random_() % static_cast<uint64_t>(delay / 2));
  c.ask.timer = reactor_.After(delay, [this, &c] {
    c.ask.timer = 0;
    SendAsk(c);
  });
}

void Router::Core::SendAsk(Container& c) {
  const Nanos now = reactor_.Now();
  if (now - c.ask.began >= options_.start) {
    FailAll(c,
            {RouteCode::kTimeout,
             absl::StrCat("the dispatcher of ", c.host->id, " did not start ", c.id, " in time"), kSecond});
    return EndAsk(c);
  }
  Message m;
  m.type = MessageType::kAcquire;
  m.request_id = c.ask.request;
  m.container = c.id;
  m.epoch = c.epoch;
  m.spec_revision = std::max(c.spec_revision, c.class_revision);
  m.suspect = c.suspect;
  m.waiting = c.waiting.size() + c.paused.size();
  c.ask.sent = now;
  channel_->Send(c.host->dispatcher, m);
  const Nanos most = c.ask.starting ? kAskWhileStarting : kAskLast;
  SendAskAfter(c, std::min(kAskFirst << std::min(c.ask.tries++, 10), most));
}

void Router::Core::EndAsk(Container& c) {
  if (c.ask.request == 0) return;
  reactor_.CancelTimer(c.ask.timer);
  --c.ask.host->asking;
  asking_.erase(&c);
  c.ask = Ask{};
}

void Router::Core::OnMessage(const Address& from, const Message& message) {
  HostState* host = hosts_.FindDispatcher(from);
  const Nanos now = reactor_.Now();
  if (message.type == MessageType::kEchoOk) {
    if (host != nullptr) hosts_.NoteDispatcher(*host, now, &message.load);
    return hosts_.echo_prober().OnEchoOk(from, message);
  }
  if (message.type == MessageType::kPeerProbe) return OnPeerProbe(from, message);
  if (message.type == MessageType::kPeerVerdict) return OnPeerVerdict(from, message);
  if (host == nullptr) return;
  const bool loaded = message.type == MessageType::kGrant || message.type == MessageType::kWait ||
                      message.type == MessageType::kFull;
  const auto found = containers_.find(message.container);
  // The answer is evidence for everybody who waits for this host; the one who asked is served last, when it
  // is all known.
  if (found != containers_.end() && message.type == MessageType::kGrant)
    OnGrant(*found->second, *host, message, now);
  // Only an answer shows that a host hears as well: one that is cut off in one direction still revokes.
  if (message.type != MessageType::kRevoke && message.request_id != 0)
    hosts_.NoteDispatcher(*host, now, loaded ? &message.load : nullptr);
  if (found == containers_.end() || message.replica != 0) return;
  Container& c = *found->second;
  const bool mine = c.ask.request != 0 && c.ask.host == host && message.request_id == c.ask.request;
  switch (message.type) {
    case MessageType::kWait:
      if (!mine) return;
      if (!std::exchange(c.ask.starting, true)) c.ask.tries = 2;
      return;
    case MessageType::kMoved:
      if (mine) OnMoved(c, message);
      return;
    case MessageType::kFull:
      if (mine) OnFull(c, *host, message, now);
      return;
    case MessageType::kFailed:
      if (mine) OnFailed(c, message, now);
      return;
    case MessageType::kRevoke:
      OnRevoke(c, *host, message);
      return;
    case MessageType::kGrant:
      serving_ = host;
      Pump(c);
      serving_ = nullptr;
      return;
    default:
      return;
  }
}

void Router::Core::OnSendError(const Address& to, int error) {
  if (error != ECONNREFUSED) return;
  if (HostState* host = hosts_.FindDispatcher(to); host != nullptr) hosts_.NoteRefused(*host);
  hosts_.echo_prober().OnRefused(to);
}

void Router::Core::OnGrant(Container& c, HostState& host, const Message& m, Nanos now) {
  if (m.replica != 0 || m.instance == 0 || !m.address) return;
  const bool answer = c.ask.request != 0 && c.ask.host == &host && m.request_id == c.ask.request;
  const bool renewal = c.lease != nullptr && c.lease->host == &host && c.lease->endpoint == m.instance;
  if (!answer && !renewal) return;
  if (c.host != &host || m.epoch < c.epoch) return;
  if (answer) {
    const bool started = c.ask.starting;
    c.ask_began = c.ask.began;
    const RouteReason moved = std::exchange(c.moved, RouteReason::kLease);
    c.reason = moved != RouteReason::kLease ? moved
               : started                    ? RouteReason::kStarted
                                            : RouteReason::kAcquired;
    EndAsk(c);
    c.suspect = false;
  }
  const uint32_t before = renewal ? c.lease->slots : 0;
  Lease& lease = InstallLease(c, host, m);
  if (answer) lease.granted = now;
  lease.expires = now + std::max<Nanos>(m.lease - kLeaseMargin, kRenewEvery);
  // Other routers get what this one had when its dispatcher knows that it has it no more.
  if (lease.slots < before) Report(lease);
}

Lease& Router::Core::NewLease(Container& c) {
  if (!std::exchange(c.first_lease_used, true)) return c.first_lease = Lease();
  c.more_leases.push_back(lease_pool_.New());
  return *c.more_leases.back();
}

Lease& Router::Core::InstallLease(Container& c, HostState& host, const Message& m) {
  if (c.lease != nullptr && c.lease->endpoint != m.instance) DropLease(c, /*release=*/false);
  if (c.lease == nullptr) {
    Lease& lease = NewLease(c);
    lease.container = &c;
    lease.host = &host;
    lease.endpoint = m.instance;
    lease.address = m.address;
    sockaddr_storage name;
    lease.sockaddress_length = m.address.ToSockaddr(&name);
    std::memcpy(&lease.sockaddress, &name, sizeof(lease.sockaddress));
    c.lease = &lease;
    ++stats_.leases;
    Resume(c);
  }
  c.lease->usable = true;
  c.lease->held = false;
  c.lease->epoch = std::max(c.lease->epoch, m.epoch);  // grants may overtake each other
  c.lease->slots = std::max<uint32_t>(m.slots, 1);
  return *c.lease;
}

// Another instance is no reason to pause.
void Router::Core::Resume(Container& c) {
  while (!c.paused.empty()) {
    Waiter& w = *c.paused.front();
    reactor_.CancelTimer(std::exchange(w.pause, 0));
    c.paused.pop_front();
    c.waiting.push_front(&w);
  }
}

void Router::Core::DropLease(Container& c, bool release) {
  Lease* lease = std::exchange(c.lease, nullptr);
  if (lease == nullptr) return;
  lease->usable = false;
  --stats_.leases;
  if (release && lease->open == 0) SendLease(*lease, MessageType::kRelease);
  if (lease->open == 0) Retire(*lease);
}

void Router::Core::Retire(Lease& lease) {
  Container& c = *lease.container;
  if (lease.listed) std::erase(active_, &lease);
  if (&lease == &c.first_lease) {
    c.first_lease_used = false;
  } else {
    std::erase_if(c.more_leases, [&](const Pool<Lease>::Ptr& l) { return l.get() == &lease; });
  }
}

void Router::Core::SendLease(const Lease& lease, MessageType type) {
  Message m;
  m.type = type;
  m.request_id = next_request_++;
  m.container = lease.container->id;
  m.epoch = lease.epoch;
  m.instance = lease.endpoint;
  m.open = lease.open;
  m.slots = lease.slots;
  m.waiting = lease.container->waiting.size();
  m.busy_ns = lease.busy_ns;
  channel_->Send(lease.host->dispatcher, m);
}

// The candidate starts the container while its old host may still answer; what is not needed ends by itself.
void Router::Core::SendPrepare(const Container& c, HostState& suspect, HostState& candidate) {
  if (c.spec.writers == Writers::kSingle) return;  // no second copy, not even one that waits
  if (options_.paper || !options_.prepare || candidate.down || candidate.service_down) return;
  if (options_.admit_by == AdmitBy::kHeartbeat) return;  // a start is nothing beside the wait for its end
  const Nanos now = reactor_.Now();
  if (now < suspect.no_prepare_until || prepare_budget_.Until(now) > 0) return;
  suspect.prepared = true;
  prepare_budget_.Take();
  ++stats_.prepares;
  Message m;
  m.type = MessageType::kPrepare;
  m.request_id = next_request_++;
  m.container = c.id;
  m.epoch = c.highest_epoch + 1;
  channel_->Send(candidate.dispatcher, m);
}

void Router::Core::Renew() {
  renew_timer_ = 0;
  if (renew_next_ >= active_.size()) {
    renew_next_ = 0;
    LeaveOverloaded(reactor_.Now());
  }
  // In slices over the interval: thousands at once would overflow the socket buffer of the dispatcher, and
  // the same ones would be lost each time.
  for (size_t i = 0; i < kRenewAtOnce && renew_next_ < active_.size(); ++i) {
    Lease* const lease = active_[renew_next_];
    const bool used = std::exchange(lease->used, false);
    if (lease->open > 0 || used || lease->busy_ns > 0) {
      // Once more after the last ticket, so that its dispatcher learns that it is idle.
      Report(*lease);
      ++renew_next_;
    } else {
      lease->listed = false;
      lease->held = false;
      active_[renew_next_] = active_.back();
      active_.pop_back();
    }
  }
  ArmRenew();
}

void Router::Core::Report(Lease& lease) {
  SendLease(lease, MessageType::kRenew);
  lease.busy_ns = 0;
}

// Requests wait for slots: the dispatcher learns of it at once where other routers may have some to give.
void Router::Core::WantSlots(Container& c) {
  const Nanos now = reactor_.Now();
  if (c.lease->slots >= c.spec.concurrency || now - c.wanted_slots < kWantEvery) return;
  c.wanted_slots = now;
  Report(*c.lease);
}

void Router::Core::ArmRenew() {
  if (active_.empty() || renew_timer_ != 0) return;
  const auto slices = static_cast<Nanos>((active_.size() + kRenewAtOnce - 1) / kRenewAtOnce);
  renew_timer_ = reactor_.After(kRenewEvery / slices, [this] { Renew(); });
}

void Router::Core::OnRevoke(Container& c, HostState& host, const Message& m) {
  if (c.lease == nullptr || c.lease->host != &host || c.lease->endpoint != m.instance)
    return AnswerLateRevoke(c, host, m);
  Log(LogLevel::kInfo, absl::StrCat("lease on ", c.id, " revoked by ", host.id, ": ", m.reason));
  DropLease(c, /*release=*/true);
  if (m.suspect) LoseTickets(host, &c, LostReason::kContainer);
  if (m.moved) Reread(c);
  Pump(c);
}

// The lease was given up while its dispatcher could not be told, and it still waits for its tickets.
void Router::Core::AnswerLateRevoke(const Container& c, const HostState& host, const Message& m) {
  const auto is_that = [&](const Lease& l) { return l.host == &host && l.endpoint == m.instance; };
  if (c.first_lease_used && is_that(c.first_lease)) return;  // the end of its last ticket will tell
  for (const auto& lease : c.more_leases)
    if (is_that(*lease)) return;
  Message release;
  release.type = MessageType::kRelease;
  release.request_id = next_request_++;
  release.container = c.id;
  release.epoch = m.epoch;
  release.instance = m.instance;
  channel_->Send(host.dispatcher, release);
}

void Router::Core::OnMoved(Container& c, const Message& m) {
  // Adopt what the store says, not what a datagram says: it may be older than what we know by now.
  const bool news = m.epoch > c.epoch || (!m.host.empty() && m.host != c.host->id);
  if (c.ask.tries > 20 && !news)
    FailAll(c, {RouteCode::kNoHost, absl::StrCat(c.host->id, " says that ", c.id, " is not placed there"),
                kSecond});
  Reread(c);
}

void Router::Core::OnFull(Container& c, HostState& host, const Message& m, Nanos now) {
  EndAsk(c);
  std::erase_if(c.full, [&host](const auto& full) { return full.first == &host; });
  c.full.emplace_back(&host, now + std::max(m.retry_after, kFullHolds));
  // Busy for a moment, and so are the others: its turn comes here as well as there.
  const bool busy = m.retry_after > 0 && m.retry_after < kFullHolds;
  if (!busy || (!options_.no_relocation && c.rounds < kMostRounds && !Candidates(c, &host, 1).empty()))
    return Relocate(c, "full");
  if (c.busy_since == 0) c.busy_since = now;
  if (now - c.busy_since < kMostBusy) return BeginAsk(c, m.retry_after);
  c.rounds = 0;
  FailAll(c, {RouteCode::kNoHost, absl::StrCat("no host takes ", c.id, ": ", m.reason), m.retry_after});
}

void Router::Core::OnFailed(Container& c, const Message& m, Nanos now) {
  EndAsk(c);
  c.failed_until = now + std::min(m.retry_after, kSecond);
  c.failure = {RouteCode::kStartFailed, absl::StrCat(c.id, " does not start: ", m.reason),
               std::max<Nanos>(m.retry_after, kMillisecond)};
  FailAll(c, c.failure);
}

}  // namespace fastcontainer
