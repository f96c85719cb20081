// What is known of a host beyond one probe: evidence of life, round trips, and who asks the same.
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "lib/probe/control.h"
#include "lib/probe/prober_core.h"
#include "lib/probe/socket_address.h"

namespace fastcontainer {
namespace {

bool SameSource(const SocketAddress& a, const SocketAddress& b) {
  if (a.family != b.family) return false;
  return a.family == AF_UNSPEC || (SameHost(a, b) && SocketPort(a) == SocketPort(b));
}

bool SamePacket(const PacketOptions& a, const PacketOptions& b) {
  return SameSource(a.source, b.source) && a.interface == b.interface && a.size == b.size &&
         a.dscp == b.dscp && a.ttl == b.ttl && a.dont_fragment == b.dont_fragment;
}

bool SameHedges(const Nanos (&a)[kMaxHedges], uint8_t a_count, const Nanos (&b)[kMaxHedges],
                uint8_t b_count) {
  if (a_count != b_count) return false;
  for (uint8_t i = 0; i < a_count; ++i)
    if (a[i] != b[i]) return false;
  return true;
}

}  // namespace

// True: the probe needs no packet of its own.
bool ProberCore::AskHost(uint32_t index, const ProbeOptions& options) {
  Slot& slot = slots_[index];
  slot.asked_deadline = slot.length;
  slot.deadline_max = options.deadline_max;
  KnownHost* const host = hosts_.Touch(slot.target);
  if (host == nullptr) return false;  // no memory: then without
  slot.remembered = true;
  if (options.deadline_max > slot.length)
    SetTimes(&slot, options, AdaptedDeadline(*host, options, slot.start));
  if (options.freshness <= 0) return false;
  DrainLinks();
  if (UseEvidence(index, *host, options.freshness)) return true;
  if (host->open_probe != KnownHost::kNoProbe && Join(index, host->open_probe)) return true;
  slot.joinable = true;
  host->open_probe = index;
  return false;
}

// A loop that has been late lately trusts itself less: the stamp is right, but what the loop did not send in
// time, or the kernel did not stamp for want of a processor, is not the host's fault.
Nanos ProberCore::AdaptedDeadline(const KnownHost& host, const ProbeOptions& options, Nanos now) const {
  const Nanos estimate = host.rtt.Deadline(now);
  const Nanos wanted =
      (estimate > options.deadline ? estimate : options.deadline) + stall_.Value(now, kStallHalfLife);
  return wanted < options.deadline_max ? wanted : options.deadline_max;
}

bool ProberCore::UseEvidence(uint32_t index, const KnownHost& host, Nanos freshness) {
  if (host.alive_at == 0 || slots_[index].start - host.alive_at > freshness ||
      host.alive_at <= links_changed_)
    return false;
  slots_[index].result.rtt = slots_[index].result.user_rtt = host.alive_rtt;
  slots_[index].result.shared = true;
  ++stats_.shared;
  Decide(index, Verdict::kUp, 0);
  return true;
}

// True: `other` asks the same, and its verdict will be shared.
bool ProberCore::Join(uint32_t index, uint32_t other) {
  Slot& slot = slots_[index];
  Slot& open = slots_[other];
  if (open.state != State::kWaiting || !open.joinable || open.socket != slot.socket ||
      SocketPort(open.target) != SocketPort(slot.target) || open.asked_deadline != slot.asked_deadline ||
      open.deadline_max != slot.deadline_max || !SamePacket(open.options, slot.options) ||
      !SameHedges(open.hedge, open.hedges, slot.hedge, slot.hedges))
    return false;
  slot.state = State::kJoined;
  slot.previous = kNone;
  slot.next = open.joined;
  if (open.joined != kNone) slots_[open.joined].previous = index;
  open.joined = index;
  slot.joined = other;
  ++stats_.shared;
  return true;
}

// A joinable probe has its verdict; so have all that joined.
void ProberCore::Share(uint32_t index) {
  Slot& slot = slots_[index];
  KnownHost* const host = hosts_.Find(slot.target);
  if (host != nullptr && host->open_probe == index) host->open_probe = KnownHost::kNoProbe;
  uint32_t next = slot.joined;
  if (slot.abandoned) {
    slot.joined = kNone;
  } else {
    Queue(index);
  }
  while (next != kNone) {
    const uint32_t joined = next;
    next = slots_[joined].next;
    slots_[joined].result = slot.result;
    slots_[joined].result.shared = true;
    Queue(joined);
  }
  if (slot.abandoned) FreeSlot(index);
}

// Nobody waits for it any more.
void ProberCore::EndAbandoned(uint32_t index) {
  Slot& slot = slots_[index];
  KnownHost* const host = hosts_.Find(slot.target);
  if (host != nullptr && host->open_probe == index) host->open_probe = KnownHost::kNoProbe;
  Leave(&slot);
  FreeSlot(index);
}

void ProberCore::CancelShared(uint32_t index) {
  Slot& slot = slots_[index];
  --waiting_;
  if (slot.state == State::kWaiting) {
    if (slot.joined == kNone) {
      EndAbandoned(index);
    } else {
      slot.abandoned = true;
      slot.batch = nullptr;
      if (++slot.generation == 0) slot.generation = 1;  // its id is no longer known
      if (slot.tries == 0) SendAlone(index);            // it was waiting for its batch's turn
    }
    return;
  }
  const uint32_t whom = slot.joined;
  (slot.previous == kNone ? slots_[whom].joined : slots_[slot.previous].next) = slot.next;
  if (slot.next != kNone) slots_[slot.next].previous = slot.previous;
  FreeSlot(index);
  if (slots_[whom].abandoned && slots_[whom].joined == kNone) EndAbandoned(whom);
}

void ProberCore::Learn(const Slot& slot, Nanos rtt, Nanos at) {
  KnownHost* const host = hosts_.Find(slot.target);
  if (host == nullptr) return;
  host->rtt.Add(rtt, at);
  if (at <= host->alive_at) return;
  host->alive_at = at;
  host->alive_rtt = rtt;
}

// Keeps what it takes to know a late answer: without those that come too late, the estimate would never learn
// that the host has become slower than the deadline.
void ProberCore::Remember(uint32_t index, uint32_t answered) {
  const Slot& slot = slots_[index];
  if (slot.tries == 1 && answered == 0) return;
  KnownHost* const host = hosts_.Find(slot.target);
  if (host == nullptr) return;
  for (uint32_t packet = 0; packet < slot.tries; ++packet) {
    if (packet == answered) continue;
    host->unanswered[host->next_unanswered] = {slot.cookie, slot.packet[packet]};
    host->next_unanswered = (host->next_unanswered + 1) % KnownHost::kUnanswered;
  }
}

void ProberCore::LearnLate(const Answer& answer, const Reading& now) {
  KnownHost* const host = hosts_.Find(answer.from);
  if (host == nullptr) return;
  for (KnownHost::Unanswered& open : host->unanswered) {
    if (open.cookie == 0 || open.cookie != answer.tag.cookie || open.packet.sequence != answer.sequence)
      continue;
    const Arrival arrival = ArrivalOf(open.packet, answer.stamp, answer.rtt, now);
    open.cookie = 0;
    if (!arrival.known) return;
    host->rtt.Add(arrival.at - open.packet.before, arrival.at);
    if (arrival.at > host->alive_at) host->alive_at = arrival.at;
    return;
  }
}

void ProberCore::DrainLinks() {
  const uint32_t changes = links_.Drain();
  if (changes == 0) return;
  stats_.link_changes += changes;
  links_changed_ = clock_(CLOCK_MONOTONIC);
}

void ProberCore::NoteAlive(const SocketAddress& address, Nanos rtt) {
  KnownHost* const host = hosts_.Touch(address);
  if (host == nullptr) return;
  DrainLinks();
  host->alive_at = clock_(CLOCK_MONOTONIC);
  host->alive_rtt = rtt;
  if (rtt > 0) host->rtt.Add(rtt, host->alive_at);
}

// The kernel's ages are of whole milliseconds; its round trip includes what the peer delays acknowledgements
// by, and is not learnt from.
int ProberCore::NoteConnection(int fd) {
  tcp_info info{};
  socklen_t length = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return errno;
  sockaddr_storage peer;
  socklen_t peer_length = sizeof(peer);
  SocketAddress address;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) != 0) return ENOENT;
  if (!CopyAddress(reinterpret_cast<const sockaddr*>(&peer), peer_length, &address)) return EAFNOSUPPORT;
  if (info.tcpi_state == TCP_SYN_SENT || info.tcpi_state == TCP_SYN_RECV || info.tcpi_state == TCP_CLOSE)
    return ENOENT;
  const uint32_t age =
      info.tcpi_last_data_recv < info.tcpi_last_ack_recv ? info.tcpi_last_data_recv : info.tcpi_last_ack_recv;
  const Nanos at = clock_(CLOCK_MONOTONIC) - (Nanos{age} + 1) * kMillisecond;
  KnownHost* const host = hosts_.Touch(address);
  if (host == nullptr) return ENOMEM;
  if (at <= host->alive_at) return 0;
  host->alive_at = at;
  host->alive_rtt = Nanos{info.tcpi_rtt} * kMicrosecond;
  return 0;
}

}  // namespace fastcontainer
