// Packets that leave, and what the machine says when they cannot.
#include <errno.h>
#include <sys/random.h>

#include "lib/probe/prober_core.h"

namespace fastcontainer {
namespace {

// Timers are late by less on an idle machine.
constexpr Nanos kLateHedge = 1 * kMillisecond;

// Whether the send may have returned what an earlier packet left on the socket: the errors that the kernel
// makes of ICMP messages. EPERM (own firewall), EINVAL and EACCES (blackhole and prohibit routes) are not
// among them.
bool MayBeOfEarlierPacket(int error) {
  return error != 0 && error != EPERM && error != EINVAL && error != EACCES;
}

}  // namespace

// Pressure passes: the packet did not leave, the next one may.
bool ProberCore::IsPressure(int error) { return error == ENOBUFS || error == ENOMEM || error == EAGAIN; }

// Cookies come from the kernel, many at a time: a generator of ours would let one probed host foresee what
// another is asked, and answer in its name.
bool ProberCore::NextCookie(uint64_t* out) {
  if (cookies_left_ == 0) {
    if (getrandom(cookies_, sizeof(cookies_), 0) != sizeof(cookies_)) return false;
    cookies_left_ = sizeof(cookies_) / sizeof(cookies_[0]);
    if (next_sequence_ == 0) next_sequence_ = static_cast<uint16_t>(cookies_[--cookies_left_]);
  }
  *out = cookies_[--cookies_left_];
  return true;
}

// The error queue is read between the tries; an own missing route fails all of them.
int ProberCore::TrySend(Slot* slot, Departure* packet) {
  Outgoing out;
  out.target = &slot->target;
  out.options = &slot->options;
  out.sequence = packet->sequence;
  out.tag = {slot->cookie, static_cast<uint32_t>(slot - slots_),
             static_cast<uint32_t>(packet - slot->packet)};
  int error = 0;
  for (int tries = 0; tries < 3; ++tries) {
    packet->before = clock_(CLOCK_MONOTONIC);
    packet->offset = clock_(CLOCK_REALTIME) - packet->before;
    error = sockets_.Send(slot->socket, out);
    packet->after = clock_(CLOCK_MONOTONIC);
    if (IsPressure(error) || !MayBeOfEarlierPacket(error)) break;
    ReceiveFailures(slot->socket);
    if (slot->state != State::kWaiting) break;  // the earlier packet was this probe's own
  }
  return error;
}

void ProberCore::Age(Use* use, Nanos now) {
  const Nanos slice = now / kSlice;
  if (slice == use->slice) return;
  use->young[1] = slice == use->slice + 1 ? use->young[0] : 0;
  use->young[0] = 0;
  use->slice = slice;
}

void ProberCore::BeginToWait(Slot* slot, Nanos now) {
  Use& use = use_[slot->socket];
  Age(&use, now);
  slot->slice = use.slice;
  ++use.young[0];
  ++use.waiting;
}

// The first packet of one probe.
void ProberCore::SendAlone(uint32_t index) {
  const uint32_t socket = slots_[index].socket;
  if (use_[socket].unread >= kUnreadLimit) ReceiveFrom(socket);
  BeginToWait(&slots_[index], clock_(CLOCK_MONOTONIC));
  SendPacket(index);
  if (slots_[index].state == State::kWaiting) Schedule(index);
}

void ProberCore::SendPacket(uint32_t index) {
  Slot& slot = slots_[index];
  Departure& packet = slot.packet[slot.tries++];
  packet.sequence = next_sequence_++;
  const int error = TrySend(&slot, &packet);
  if (slot.state != State::kWaiting) return;
  if (error == 0) {
    ++use_[slot.socket].unread;
    ++stats_.sent;
    // From the later bound of its departure: were this thread preempted before the packet left, an earlier
    // start would take the host's time away.
    if (slot.result.packets++ == 0) slot.deadline = packet.after + slot.length;
    if (IsPressure(slot.local_error)) slot.local_error = 0;
    return;
  }
  // A second handshake from a port that was asked for has to wait for the first: that is no fault either.
  const bool harmless = IsPressure(error) || error == EADDRNOTAVAIL || error == EADDRINUSE;
  if (slot.local_error == 0 && !(slot.result.packets > 0 && harmless)) slot.local_error = error;
  // If a packet is already on its way the answer to it still counts; pressure may have passed at the hedge.
  if (slot.result.packets == 0 && !IsPressure(error)) Decide(index, Verdict::kLocalFault, error);
}

void ProberCore::Schedule(uint32_t index) {
  const Slot& slot = slots_[index];
  Nanos at = slot.deadline;
  if (slot.next_hedge < slot.hedges) {
    const Nanos hedge = slot.start + slot.hedge[slot.next_hedge];
    if (hedge < at) at = hedge;
  }
  deadlines_.Set(index, at);
}

void ProberCore::Wake(uint32_t index, Nanos now) {
  Slot& slot = slots_[index];
  // A loop that was away when a hedge was due owes the host the time that the hedge would have had.
  if (slot.next_hedge < slot.hedges) {
    const Nanos late = now - (slot.start + slot.hedge[slot.next_hedge]);
    if (late > kLateHedge) slot.deadline += late;
  }
  if (now >= slot.deadline) {
    slot.result.stall = now - slot.deadline;
    stall_.Add(slot.result.stall, now, kStallHalfLife);
    // What did not leave cannot have been answered.
    int fault = slot.local_error;
    if (fault == 0 && links_.HasNoCarrier(slot.target, slot.options)) fault = ENETDOWN;
    if (slot.remembered) Remember(index, kNone);
    return Decide(index, fault == 0 ? Verdict::kDownTimeout : Verdict::kLocalFault, fault);
  }
  while (slot.next_hedge < slot.hedges && slot.start + slot.hedge[slot.next_hedge] <= now) ++slot.next_hedge;
  if (slot.batch != nullptr) slot.batch->pace.Take(1, now);
  SendPacket(index);
  if (slot.state == State::kWaiting) Schedule(index);
}

}  // namespace fastcontainer
