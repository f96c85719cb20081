// What comes in: whose it is, when it came, and what it says.
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "lib/probe/control.h"
#include "lib/probe/prober_core.h"

namespace fastcontainer {
namespace {

// Slewing moves the wall clock by at most 500 ppm; more than this is a step.
constexpr Nanos kClockStep = kMillisecond;
// A pair of clock readings farther apart than this was interrupted between the two.
constexpr Nanos kInterrupted = 100 * kMicrosecond;
// More than any receive buffer holds: who floods us cannot keep us reading for ever.
constexpr int kReadsAtOnce = 16384;
// Where more than these are expected they are read by recvmmsg(). For one, that costs more than recvmsg().
constexpr uint32_t kManyFrom = 8;

// Whether the message says that packets do not get there. Redirects, source quench and parameter problems do
// not; "too big" does where the packet must not be fragmented.
bool IsUnreachable(const Failure& failure, bool dont_fragment) {
  const int type = failure.icmp_type;
  const int code = failure.icmp_code;
  if (type < 0) return true;  // the errno of a handshake
  if (failure.destination.family == AF_INET6) {
    if (type == ICMP6_PACKET_TOO_BIG) return dont_fragment;
    return type == ICMP6_DST_UNREACH || (type == ICMP6_TIME_EXCEEDED && code == ICMP6_TIME_EXCEED_TRANSIT);
  }
  if (type == ICMP_DEST_UNREACH) return code != ICMP_FRAG_NEEDED || dont_fragment;
  return type == ICMP_TIME_EXCEEDED && code == ICMP_EXC_TTL;
}

}  // namespace

// The two clocks as close together as it takes for a difference that means something.
ProberCore::Reading ProberCore::ReadClocks() const {
  Reading reading{};
  for (int tries = 0; tries < 8; ++tries) {
    const Nanos before = clock_(CLOCK_MONOTONIC);
    reading.offset = clock_(CLOCK_REALTIME) - before;
    reading.monotonic = clock_(CLOCK_MONOTONIC);
    if (reading.monotonic - before < kInterrupted) break;
  }
  return reading;
}

// Sockets that nothing is expected from are read when the others had nothing: then they have woken us.
void ProberCore::Receive() {
  bool found = false;
  for (uint32_t left = sockets_.open(); left != 0; left &= left - 1) {
    const auto socket = static_cast<uint32_t>(__builtin_ctz(left));
    if (use_[socket].waiting > 0) found |= ReceiveFrom(socket);
  }
  if (found) return;
  DrainLinks();
  for (uint32_t left = sockets_.open(); left != 0; left &= left - 1) {
    const auto socket = static_cast<uint32_t>(__builtin_ctz(left));
    if (use_[socket].waiting == 0) ReceiveFrom(socket);
  }
}

// Whether there was anything.
bool ProberCore::ReceiveFrom(uint32_t socket) {
  Use& use = use_[socket];
  if (!stamps_begun_) read_began_ = clock_(CLOCK_MONOTONIC);
  bool failures = false;
  bool found = false;
  for (int reads = 0; reads < kReadsAtOnce; ++reads) {
    if (use.unread >= kManyFrom && sockets_.HasMany(socket)) {
      const int error = ReceiveManyFrom(socket);
      found |= error != EAGAIN;
      failures |= error != 0;
      if (error == EAGAIN || (use.waiting == 0 && use.unread == 0)) break;
      continue;
    }
    Answer answer;
    const int error = sockets_.Receive(socket, &answer);
    if (error == EAGAIN) {
      // Woken for nothing that can be read: then by the error queue.
      if (reads == 0) failures = true;
      use.unread = 0;
      break;
    }
    found = true;
    if (error != 0 && error != ENOMSG) {
      failures = true;
      continue;
    }
    if (use.unread > 0) --use.unread;
    if (error == 0) {
      OnAnswer(socket, answer, ReadClocks());
    } else {
      ++stats_.foreign;
    }
    // Nothing more to come: saves the read that would find the socket empty.
    if (use.waiting == 0 && use.unread == 0) break;
  }
  if (failures) ReceiveFailures(socket);
  return found;
}

// One system call for as many as are there, up to an error that an earlier packet left. 0, or as Receive().
int ProberCore::ReceiveManyFrom(uint32_t socket) {
  Use& use = use_[socket];
  Answer answers[PingSocket::kMany];
  int error = 0;
  const uint32_t got = sockets_.ReceiveMany(socket, answers, &error);
  if (got == 0) {
    if (error == EAGAIN) use.unread = 0;
    return error;
  }
  const Reading now = ReadClocks();
  for (uint32_t i = 0; i < got; ++i) {
    if (answers[i].from.family == AF_UNSPEC) {
      ++stats_.foreign;
    } else {
      OnAnswer(socket, answers[i], now);
    }
  }
  use.unread = use.unread > got ? use.unread - got : 0;
  return 0;
}

void ProberCore::ReceiveFailures(uint32_t socket) {
  for (int reads = 0; reads < kReadsAtOnce; ++reads) {
    Failure failure;
    const int error = sockets_.ReceiveFailure(socket, &failure);
    if (error == 0) {
      OnFailure(socket, failure);
    } else if (error == ENOMSG) {
      ++stats_.foreign;
    } else {
      break;
    }
  }
}

uint32_t ProberCore::FindTagged(uint32_t socket, const PacketTag& tag, uint16_t sequence) const {
  if (tag.slot >= capacity_) return kNone;
  const Slot& slot = slots_[tag.slot];
  if (slot.state != State::kWaiting || slot.socket != socket || slot.cookie != tag.cookie ||
      tag.packet >= slot.tries || slot.packet[tag.packet].sequence != sequence)
    return kNone;
  return tag.slot;
}

// A quotation that ends behind the ICMP header has no cookie, but the checksum depends on it.
uint32_t ProberCore::FindUntagged(uint32_t socket, const Failure& failure) {
  for (uint32_t index = 0; index < capacity_; ++index) {
    const Slot& slot = slots_[index];
    if (slot.state != State::kWaiting || slot.socket != socket || !SameHost(slot.target, failure.destination))
      continue;
    for (uint32_t packet = 0; packet < slot.tries; ++packet) {
      if (slot.packet[packet].sequence == failure.sequence &&
          sockets_.IsQuoted(socket, failure, {slot.cookie, index, packet}))
        return index;
    }
  }
  return kNone;
}

void ProberCore::OnAnswer(uint32_t socket, const Answer& answer, const Reading& now) {
  const uint32_t index = FindTagged(socket, answer.tag, answer.sequence);
  if (index == kNone || !SameHost(slots_[index].target, answer.from)) {
    ++stats_.foreign;
    LearnLate(answer, now);
    return;
  }
  ++stats_.received;
  Accept(index, answer.tag.packet, answer.verdict, answer.stamp, answer.rtt, now);
}

void ProberCore::OnFailure(uint32_t socket, const Failure& failure) {
  const uint32_t index =
      failure.tagged ? FindTagged(socket, failure.tag, failure.sequence) : FindUntagged(socket, failure);
  if (index == kNone || !SameHost(slots_[index].target, failure.destination)) {
    ++stats_.foreign;
    return;
  }
  ++stats_.received;
  Slot& slot = slots_[index];
  if (failure.verdict != Verdict::kUpPortClosed && !IsUnreachable(failure, slot.options.dont_fragment))
    return;
  slot.result.icmp_type = failure.icmp_type;
  slot.result.icmp_code = failure.icmp_code;
  if (failure.verdict == Verdict::kUpPortClosed) {
    Accept(index, failure.tagged ? failure.tag.packet : 0, failure.verdict, failure.stamp, 0, ReadClocks());
  } else {
    Decide(index, Verdict::kDownUnreachable, failure.error);
  }
}

// A stamp is on the wall clock. If that was set since the packet left, its time says nothing.
ProberCore::Arrival ProberCore::ArrivalOf(const Departure& packet, Nanos stamp, Nanos rtt,
                                          const Reading& now) {
  if (rtt != 0) return {packet.before + rtt, true};
  if (stamp == 0) return {now.monotonic, false};
  const Nanos moved = packet.offset - now.offset;
  if (moved < -kClockStep || moved > kClockStep + (packet.after - packet.before)) {
    // Every probe that was open meanwhile finds the same step.
    if (packet.after > last_step_) {
      ++stats_.clock_steps;
      last_step_ = now.monotonic;
    }
    return {now.monotonic, false};
  }
  const Nanos at = stamp - now.offset;
  if (at < packet.before - kClockStep || at > now.monotonic + kClockStep) return {now.monotonic, false};
  if (!stamps_begun_ && at >= read_began_) return {now.monotonic, false};
  return {at, true};
}

// The host lives: the packet has been answered, in time or not.
void ProberCore::Accept(uint32_t index, uint32_t number, Verdict verdict, Nanos stamp, Nanos rtt,
                        const Reading& now) {
  Slot& slot = slots_[index];
  const Departure& packet = slot.packet[number];
  const Arrival arrival = ArrivalOf(packet, stamp, rtt, now);
  if (slot.remembered && arrival.known) Learn(slot, arrival.at - packet.before, arrival.at);
  // Too late. The verdict is left to the deadline, which has passed as well. What has no time was there when
  // the socket was drained, and may have been for long.
  if (arrival.known && arrival.at > slot.deadline) return;
  // Interrupted around the send, and answered afterwards: the later bound is nearer the truth.
  const bool interrupted = packet.after - packet.before > kInterrupted && arrival.at >= packet.after;
  const Nanos departure = interrupted && rtt == 0 ? packet.after : packet.before;
  slot.result.rtt = arrival.at > departure ? arrival.at - departure : 0;
  slot.result.user_rtt = now.monotonic - departure;
  if (slot.result.user_rtt < slot.result.rtt) slot.result.user_rtt = slot.result.rtt;
  slot.result.stall = slot.result.user_rtt - slot.result.rtt;
  stall_.Add(slot.result.stall, now.monotonic, kStallHalfLife);
  if (slot.remembered) Remember(index, number);
  Decide(index, verdict, 0);
}

}  // namespace fastcontainer
