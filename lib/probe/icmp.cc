#include "lib/probe/icmp.h"

#include <errno.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <type_traits>

namespace fastcontainer {
namespace {

constexpr uint32_t kFirstCapacity = 64;
constexpr uint32_t kMaxCapacity = 1u << 22;
// Keeps sums of a point and a duration far from overflow.
constexpr int64_t kLongest = INT64_C(3600) * 24 * 365 * 1'000'000'000;
// Slewing moves the wall clock by at most 500 ppm; more than this is a step.
constexpr int64_t kClockStep = 1'000'000;
// A pair of clock readings farther apart than this was interrupted between the two.
constexpr int64_t kInterrupted = 100'000;
// Loopback answers inside sendto(); a loop that submits thousands of probes before it reads would overflow
// the receive buffer, whose default holds about 280 packets.
constexpr uint32_t kUnreadLimit = 64;
// More than any receive buffer holds: who floods us cannot keep us reading for ever.
constexpr int kReadsAtOnce = 16384;

// Pressure passes: the packet did not leave, the next one may.
bool IsPressure(int error) { return error == ENOBUFS || error == ENOMEM || error == EAGAIN; }

// Whether sendto() may have returned what an earlier packet left on the socket: the errors that the kernel
// makes of ICMP messages. EPERM (own firewall), EINVAL and EACCES (blackhole and prohibit routes) are not
// among them.
bool MayBeOfEarlierPacket(int error) {
  return error != 0 && !IsPressure(error) && error != EPERM && error != EINVAL && error != EACCES;
}

// Whether the message says that packets do not get there. Redirects, source quench, "too big" and parameter
// problems do not.
bool IsUnreachable(const IcmpFailure& failure) {
  if (failure.type == ICMP_DEST_UNREACH) return failure.code != ICMP_FRAG_NEEDED;
  return failure.type == ICMP_TIME_EXCEEDED && failure.code == ICMP_EXC_TTL;
}

int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t Max(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace

int64_t IcmpProber::SystemClock(clockid_t id) {
  timespec ts;
  clock_gettime(id, &ts);
  return static_cast<int64_t>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

IcmpProber::~IcmpProber() { free(slots_); }

bool IcmpProber::Grow() {
  static_assert(std::is_trivially_copyable_v<Slot>, "realloc moves them");
  const uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  if (capacity > kMaxCapacity || !deadlines_.Reserve(capacity)) return false;
  void* const grown = realloc(static_cast<void*>(slots_), capacity * sizeof(Slot));
  if (grown == nullptr) return false;
  slots_ = static_cast<Slot*>(grown);
  for (uint32_t index = capacity; index-- > capacity_;) {
    slots_[index].generation = 1;
    slots_[index].state = State::kFree;
    slots_[index].next = free_;
    free_ = index;
  }
  capacity_ = capacity;
  return true;
}

uint32_t IcmpProber::TakeSlot() {
  if (free_ == kNone && !Grow()) return kNone;
  const uint32_t index = free_;
  free_ = slots_[index].next;
  return index;
}

void IcmpProber::FreeSlot(uint32_t index) {
  Slot& slot = slots_[index];
  slot.state = State::kFree;
  if (++slot.generation == 0) slot.generation = 1;  // so that no id is 0
  slot.next = free_;
  free_ = index;
}

// Cookies come from the kernel, many at a time: a generator of ours would let one probed host foresee what
// another is asked, and answer in its name.
bool IcmpProber::NextCookie(uint64_t* out) {
  if (cookies_left_ == 0) {
    if (getrandom(cookies_, sizeof(cookies_), 0) != sizeof(cookies_)) return false;
    cookies_left_ = sizeof(cookies_) / sizeof(cookies_[0]);
    if (next_sequence_ == 0) next_sequence_ = static_cast<uint16_t>(cookies_[--cookies_left_]);
  }
  *out = cookies_[--cookies_left_];
  return true;
}

uint64_t IcmpProber::Submit(const sockaddr* target, socklen_t length, const IcmpOptions& options,
                            const IcmpCompletion& completion) {
  if (sent_unread_ >= kUnreadLimit) Receive();
  const uint32_t index = TakeSlot();
  if (index == kNone) return 0;
  slots_[index].completion = completion;
  Begin(index, target, length, options);
  return (static_cast<uint64_t>(slots_[index].generation) << 32) | index;
}

void IcmpProber::Begin(uint32_t index, const sockaddr* target, socklen_t length, const IcmpOptions& options) {
  Slot& slot = slots_[index];
  slot.state = State::kWaiting;
  ++waiting_;
  slot.tries = slot.hedges = slot.next_hedge = 0;
  slot.local_error = 0;
  slot.result = IcmpResult();
  slot.result.mechanism = socket_.mechanism();
  slot.start = clock_(CLOCK_MONOTONIC);
  slot.length = Min(Max(options.deadline, 0), kLongest);
  slot.deadline = slot.start + slot.length;
  for (const int64_t at : options.hedge)
    if (at > 0 && at < slot.length) slot.hedge[slot.hedges++] = at;
  if (slot.hedges == 2 && slot.hedge[1] < slot.hedge[0]) {
    const int64_t later = slot.hedge[0];
    slot.hedge[0] = slot.hedge[1];
    slot.hedge[1] = later;
  }
  if (fd() < 0) return Decide(index, IcmpVerdict::kLocalFault, EPERM);
  sockaddr_in in{};
  if (length < sizeof(in) || target->sa_family != AF_INET)
    return Decide(index, IcmpVerdict::kLocalFault, EAFNOSUPPORT);
  memcpy(&in, target, sizeof(in));
  if (in.sin_addr.s_addr == INADDR_ANY) return Decide(index, IcmpVerdict::kLocalFault, EINVAL);
  slot.target = in.sin_addr;
  if (!NextCookie(&slot.cookie)) return Decide(index, IcmpVerdict::kLocalFault, errno);
  SendPacket(index);
  if (slot.state == State::kWaiting) Schedule(index);
}

// The error queue is read between the tries; an own missing route fails all of them.
int IcmpProber::TrySend(Slot* slot, Packet* packet) {
  const EchoTag tag = {slot->cookie, static_cast<uint32_t>(slot - slots_),
                       static_cast<uint32_t>(packet - slot->packet)};
  uint8_t bytes[kEchoLength];
  EncodeEchoRequest(socket_.id(), packet->sequence, tag, bytes);
  int error = 0;
  for (int tries = 0; tries < 3; ++tries) {
    packet->before = clock_(CLOCK_MONOTONIC);
    packet->offset = clock_(CLOCK_REALTIME) - packet->before;
    error = socket_.Send(slot->target, bytes);
    packet->after = clock_(CLOCK_MONOTONIC);
    if (!MayBeOfEarlierPacket(error)) break;
    ReceiveFailures();
    if (slot->state != State::kWaiting) break;  // the earlier packet was this probe's own
  }
  return error;
}

void IcmpProber::SendPacket(uint32_t index) {
  Slot& slot = slots_[index];
  Packet& packet = slot.packet[slot.tries++];
  packet.sequence = next_sequence_++;
  const int error = TrySend(&slot, &packet);
  if (slot.state != State::kWaiting) return;
  if (error == 0) {
    ++sent_unread_;
    // From the later bound of its departure: were this thread preempted before the packet left, an earlier
    // start would take the host's time away.
    if (slot.result.packets++ == 0) slot.deadline = packet.after + slot.length;
    if (IsPressure(slot.local_error)) slot.local_error = 0;
    return;
  }
  if (slot.local_error == 0 && !(slot.result.packets > 0 && IsPressure(error))) slot.local_error = error;
  // If a packet is already on its way the answer to it still counts; pressure may have passed at the hedge.
  if (slot.result.packets == 0 && !IsPressure(error)) Decide(index, IcmpVerdict::kLocalFault, error);
}

void IcmpProber::Schedule(uint32_t index) {
  const Slot& slot = slots_[index];
  int64_t at = slot.deadline;
  if (slot.next_hedge < slot.hedges) at = Min(at, slot.start + slot.hedge[slot.next_hedge]);
  deadlines_.Set(index, at);
}

void IcmpProber::Wake(uint32_t index, int64_t now) {
  Slot& slot = slots_[index];
  if (now >= slot.deadline) {
    // What did not leave cannot have been answered.
    if (slot.local_error != 0) return Decide(index, IcmpVerdict::kLocalFault, slot.local_error);
    return Decide(index, IcmpVerdict::kDownTimeout, 0);
  }
  while (slot.next_hedge < slot.hedges && slot.start + slot.hedge[slot.next_hedge] <= now) ++slot.next_hedge;
  SendPacket(index);
  if (slot.state == State::kWaiting) Schedule(index);
}

// The two clocks as close together as it takes for a difference that means something.
IcmpProber::Reading IcmpProber::ReadClocks() const {
  Reading reading{};
  for (int tries = 0; tries < 8; ++tries) {
    const int64_t before = clock_(CLOCK_MONOTONIC);
    reading.offset = clock_(CLOCK_REALTIME) - before;
    reading.monotonic = clock_(CLOCK_MONOTONIC);
    if (reading.monotonic - before < kInterrupted) break;
  }
  return reading;
}

void IcmpProber::Receive() {
  bool failures = false;
  for (int reads = 0; reads < kReadsAtOnce; ++reads) {
    IcmpReply reply;
    const int error = socket_.Receive(&reply);
    if (error == EAGAIN) {
      // Woken for nothing that can be read: then by the error queue.
      if (reads == 0) failures = true;
      sent_unread_ = 0;
      break;
    }
    if (error != 0 && error != ENOMSG) {
      failures = true;
      continue;
    }
    if (sent_unread_ > 0) --sent_unread_;
    if (error == 0) OnReply(reply);
    // Nothing more to come: saves the read that would find the socket empty.
    if (waiting_ == 0 && sent_unread_ == 0) break;
  }
  // After the replies: a host that has answered is up, whatever a router said meanwhile.
  if (failures) ReceiveFailures();
}

void IcmpProber::ReceiveFailures() {
  for (int reads = 0; reads < kReadsAtOnce; ++reads) {
    IcmpFailure failure;
    const int error = socket_.ReceiveFailure(&failure);
    if (error == 0) {
      OnFailure(failure);
    } else if (error != ENOMSG) {
      break;
    }
  }
}

uint32_t IcmpProber::FindTagged(const Echo& echo) const {
  const uint32_t index = echo.tag.slot;
  if (index >= capacity_) return kNone;
  const Slot& slot = slots_[index];
  const uint32_t packet = echo.tag.packet;
  if (slot.state != State::kWaiting || slot.cookie != echo.tag.cookie || packet >= slot.tries ||
      slot.packet[packet].sequence != echo.sequence)
    return kNone;
  return index;
}

// A quotation that ends behind the ICMP header has no cookie, but the checksum depends on it.
uint32_t IcmpProber::FindUntagged(const IcmpFailure& failure) const {
  for (uint32_t index = 0; index < capacity_; ++index) {
    const Slot& slot = slots_[index];
    if (slot.state != State::kWaiting || slot.target.s_addr != failure.destination.s_addr) continue;
    for (uint32_t packet = 0; packet < slot.tries; ++packet) {
      if (slot.packet[packet].sequence != failure.quoted.sequence) continue;
      uint8_t bytes[kEchoLength];
      EncodeEchoRequest(failure.quoted.id, failure.quoted.sequence, {slot.cookie, index, packet}, bytes);
      Echo sent;
      DecodeEcho(bytes, sizeof(bytes), &sent);
      if (sent.checksum == failure.quoted.checksum) return index;
    }
  }
  return kNone;
}

void IcmpProber::OnReply(const IcmpReply& reply) {
  if (!reply.echo.has_tag) return;
  const uint32_t index = FindTagged(reply.echo);
  if (index == kNone || slots_[index].target.s_addr != reply.from.s_addr) return;
  Slot& slot = slots_[index];
  const Packet& packet = slot.packet[reply.echo.tag.packet];
  const Reading now = ReadClocks();
  // The stamp is on the wall clock. If that was set since the packet left, its time says nothing.
  const int64_t moved = packet.offset - now.offset;
  int64_t at = reply.stamp - now.offset;
  const bool usable = reply.stamp != 0 && moved >= -kClockStep &&
                      moved <= kClockStep + (packet.after - packet.before) &&
                      at >= packet.before - kClockStep && at <= now.monotonic + kClockStep;
  if (!usable) at = now.monotonic;
  // Stamped too late. The verdict is left to the deadline, which has passed as well.
  if (at > slot.deadline) return;
  // Interrupted around sendto(), and answered afterwards: the later bound is nearer the truth.
  const bool interrupted = packet.after - packet.before > kInterrupted && at >= packet.after;
  const int64_t departure = interrupted ? packet.after : packet.before;
  slot.result.rtt = Max(at - departure, 0);
  slot.result.user_rtt = Max(now.monotonic - departure, slot.result.rtt);
  Decide(index, IcmpVerdict::kUp, 0);
}

void IcmpProber::OnFailure(const IcmpFailure& failure) {
  if (!IsUnreachable(failure)) return;
  const uint32_t index = failure.quoted.has_tag ? FindTagged(failure.quoted) : FindUntagged(failure);
  if (index == kNone || slots_[index].target.s_addr != failure.destination.s_addr) return;
  slots_[index].result.icmp_type = failure.type;
  slots_[index].result.icmp_code = failure.code;
  Decide(index, IcmpVerdict::kDownUnreachable, failure.error);
}

void IcmpProber::Decide(uint32_t index, IcmpVerdict verdict, int error) {
  Slot& slot = slots_[index];
  slot.result.verdict = verdict;
  slot.result.error = error;
  deadlines_.Remove(index);
  slot.state = State::kDone;
  --waiting_;
  slot.previous = last_done_;
  slot.next = kNone;
  if (last_done_ == kNone) {
    first_done_ = index;
  } else {
    slots_[last_done_].next = index;
  }
  last_done_ = index;
  ++done_;
}

void IcmpProber::Unlink(uint32_t index) {
  const Slot& slot = slots_[index];
  if (slot.previous == kNone) {
    first_done_ = slot.next;
  } else {
    slots_[slot.previous].next = slot.next;
  }
  if (slot.next == kNone) {
    last_done_ = slot.previous;
  } else {
    slots_[slot.next].previous = slot.previous;
  }
  --done_;
}

uint32_t IcmpProber::Find(uint64_t id) const {
  const auto index = static_cast<uint32_t>(id);
  if (index >= capacity_) return kNone;
  const Slot& slot = slots_[index];
  return slot.state == State::kFree || slot.generation != id >> 32 ? kNone : index;
}

void* IcmpProber::UserData(uint64_t id) const {
  const uint32_t index = Find(id);
  return index == kNone ? nullptr : slots_[index].completion.user_data;
}

bool IcmpProber::Cancel(uint64_t id) {
  const uint32_t index = Find(id);
  if (index == kNone) return false;
  if (slots_[index].state == State::kDone) {
    Unlink(index);
  } else {
    deadlines_.Remove(index);
    --waiting_;
  }
  FreeSlot(index);
  return true;
}

int64_t IcmpProber::NextDeadline() const {
  if (first_done_ != kNone) return slots_[first_done_].start;
  return deadlines_.empty() ? INT64_MAX : deadlines_.earliest();
}

int IcmpProber::Deliver() {
  // Only what is decided now: a callback that submits what fails at once must not keep us here.
  int delivered = 0;
  for (uint32_t left = done_; left > 0 && first_done_ != kNone; --left) {
    const uint32_t index = first_done_;
    const IcmpCompletion completion = slots_[index].completion;
    const IcmpResult result = slots_[index].result;
    Unlink(index);
    FreeSlot(index);
    completion.run(completion, result);
    ++delivered;
  }
  return delivered;
}

int IcmpProber::Process() {
  if (fd() >= 0) {
    // Read before the socket is: what came in until now is read before anything due by now is judged.
    const int64_t now = clock_(CLOCK_MONOTONIC);
    Receive();
    while (!deadlines_.empty() && deadlines_.earliest() <= now) Wake(deadlines_.first(), now);
  }
  return Deliver();
}

}  // namespace fastcontainer
