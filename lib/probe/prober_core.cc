#include "lib/probe/prober_core.h"

#include <errno.h>
#include <stdlib.h>

#include <type_traits>

#include "lib/probe/control.h"
#include "lib/probe/socket_address.h"

namespace fastcontainer {
namespace {

constexpr uint32_t kFirstCapacity = 64;
constexpr uint32_t kMaxCapacity = 1u << 22;
// Keeps sums of a point and a duration far from overflow.
constexpr Nanos kLongest = Nanos{3600} * 24 * 365 * kSecond;
constexpr uint16_t kLargestPayload = 65'000;

Nanos Clamp(Nanos value, Nanos low, Nanos high) { return value < low ? low : value > high ? high : value; }

bool HasPorts(ProbeMechanism mechanism) { return mechanism >= ProbeMechanism::kTcpConnect; }

bool IsSound(const PacketOptions& options, sa_family_t family) {
  return (options.source.family == AF_UNSPEC || options.source.family == family) && options.dscp < 64 &&
         options.size <= kLargestPayload;
}

}  // namespace

Nanos ProberCore::SystemClock(clockid_t id) {
  timespec ts;
  clock_gettime(id, &ts);
  return static_cast<Nanos>(ts.tv_sec) * kSecond + ts.tv_nsec;
}

ProberCore::~ProberCore() {
  while (batches_ != nullptr) FreeBatch(batches_);
  free(slots_);
}

int ProberCore::Open(ProbeMechanism mechanism, int receive_buffer, sa_family_t family) {
  opened_ = clock_(CLOCK_MONOTONIC);
  const int error = sockets_.Open(mechanism, receive_buffer);
  if (error != 0) return error;
  // Without it carrier changes go unseen, as in a machine that has none.
  if (links_.Open() == 0) sockets_.Watch(links_.fd());
  uint32_t socket;
  return sockets_.Use(ProbeMechanism::kNone, family, &socket);
}

ProbeMechanism ProberCore::MechanismFor(sa_family_t family) {
  uint32_t socket;
  if (sockets_.Use(ProbeMechanism::kNone, family, &socket) != 0) return ProbeMechanism::kNone;
  return ProbeSockets::MechanismOf(socket);
}

ProberStats ProberCore::stats() const {
  ProberStats out = stats_;
  out.lost = sockets_.lost();
  return out;
}

bool ProberCore::Grow() {
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

uint32_t ProberCore::TakeSlot() {
  if (free_ == kNone && !Grow()) return kNone;
  const uint32_t index = free_;
  free_ = slots_[index].next;
  return index;
}

void ProberCore::FreeSlot(uint32_t index) {
  Slot& slot = slots_[index];
  slot.state = State::kFree;
  if (++slot.generation == 0) slot.generation = 1;  // so that no id is 0
  slot.next = free_;
  free_ = index;
}

uint64_t ProberCore::Submit(const sockaddr* target, socklen_t length, const ProbeOptions& options,
                            const ProbeCompletion& completion) {
  const uint32_t index = TakeSlot();
  if (index == kNone) return 0;
  slots_[index].completion = completion;
  slots_[index].batch = nullptr;
  SocketAddress address;
  CopyAddress(target, length, &address);
  if (Start(index, address, options)) SendAlone(index);
  return (static_cast<uint64_t>(slots_[index].generation) << 32) | index;
}

// True: it is up to its first packet.
bool ProberCore::Start(uint32_t index, const SocketAddress& target, const ProbeOptions& options) {
  Slot& slot = slots_[index];
  slot.state = State::kWaiting;
  ++waiting_;
  slot.tries = 0;
  slot.local_error = 0;
  slot.joined = kNone;
  slot.remembered = slot.joinable = slot.abandoned = false;
  slot.socket = ProbeSockets::kCount;
  slot.target = target;
  slot.result = ProbeResult();
  slot.start = clock_(CLOCK_MONOTONIC);
  SetTimes(&slot, options, options.deadline);
  const int error = Prepare(&slot, options);
  if (error != 0) {
    Decide(index, Verdict::kLocalFault, error);
    return false;
  }
  return (options.freshness <= 0 && options.deadline_max <= 0) || !AskHost(index, options);
}

// Finds the socket, and what is wrong with the question. 0 or an errno.
int ProberCore::Prepare(Slot* slot, const ProbeOptions& options) {
  const sa_family_t family = slot->target.family;
  if (family != AF_INET && family != AF_INET6) return EAFNOSUPPORT;
  if (IsAnyHost(slot->target) || !IsSound(options.packet, family)) return EINVAL;
  uint32_t socket;
  const int error = sockets_.Use(options.mechanism, family, &socket);
  slot->result.mechanism = error == 0 ? ProbeSockets::MechanismOf(socket) : options.mechanism;
  if (error != 0) return error == EACCES ? EPERM : error;
  if (!HasPorts(slot->result.mechanism)) {
    SetSocketPort(&slot->target, 0);  // a raw IPv6 socket takes it for the protocol
  } else if (SocketPort(slot->target) == 0) {
    return EINVAL;
  }
  if (!NextCookie(&slot->cookie)) return errno;
  slot->options = options.packet;
  slot->socket = static_cast<uint8_t>(socket);
  return 0;
}

void ProberCore::SetTimes(Slot* slot, const ProbeOptions& options, Nanos length) {
  slot->length = Clamp(length, 0, kLongest);
  slot->deadline = slot->start + slot->length;
  slot->result.deadline = slot->length;
  slot->hedges = slot->next_hedge = 0;
  for (const Nanos at : options.hedge)
    if (at > 0 && at < slot->length) slot->hedge[slot->hedges++] = at;
  static_assert(kMaxHedges == 2);
  if (slot->hedges == 2 && slot->hedge[1] < slot->hedge[0]) {
    const Nanos later = slot->hedge[0];
    slot->hedge[0] = slot->hedge[1];
    slot->hedge[1] = later;
  }
}

// Nothing more is expected for this probe.
void ProberCore::Leave(Slot* slot) {
  const auto index = static_cast<uint32_t>(slot - slots_);
  deadlines_.Remove(index);
  if (slot->tries == 0) return;
  Use& use = use_[slot->socket];
  --use.waiting;
  const Nanos age = use.slice - slot->slice;
  if (age == 0 || age == 1) --use.young[age];
  if (!HasPorts(slot->result.mechanism)) return;  // an echo request leaves nothing behind
  for (uint32_t packet = 0; packet < slot->tries; ++packet)
    sockets_.Forget(slot->socket, {slot->cookie, index, packet});
}

void ProberCore::Decide(uint32_t index, Verdict verdict, int error) {
  Slot& slot = slots_[index];
  slot.result.verdict = verdict;
  slot.result.error = error;
  Leave(&slot);
  if (slot.joinable) return Share(index);
  Queue(index);
}

// Its verdict is to be delivered.
void ProberCore::Queue(uint32_t index) {
  Slot& slot = slots_[index];
  --waiting_;
  slot.state = State::kDone;
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

void ProberCore::Unlink(uint32_t index) {
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

uint32_t ProberCore::Find(uint64_t id) const {
  const auto index = static_cast<uint32_t>(id);
  if (index >= capacity_) return kNone;
  const Slot& slot = slots_[index];
  return slot.state == State::kFree || slot.generation != id >> 32 ? kNone : index;
}

void* ProberCore::UserData(uint64_t id) const {
  const uint32_t index = Find(id);
  return index == kNone ? nullptr : slots_[index].completion.user_data;
}

bool ProberCore::Cancel(uint64_t id) {
  const uint32_t index = Find(id);
  if (index == kNone || slots_[index].batch != nullptr) return CancelBatch(id);
  CancelSlot(index);
  return true;
}

void ProberCore::CancelSlot(uint32_t index) {
  Slot& slot = slots_[index];
  if (slot.state == State::kDone) {
    Unlink(index);
  } else {
    if (slot.joinable || slot.state == State::kJoined) return CancelShared(index);
    Leave(&slot);
    --waiting_;
  }
  FreeSlot(index);
}

Nanos ProberCore::NextDeadline() const {
  if (first_done_ != kNone) return slots_[first_done_].start;
  Nanos at = deadlines_.empty() ? INT64_MAX : deadlines_.earliest();
  for (const Batch* batch = batches_; batch != nullptr; batch = batch->next_batch) {
    const Nanos wake = WakeOf(*batch);
    if (wake < at) at = wake;
  }
  return at;
}

int ProberCore::Deliver() {
  // Only what is decided now: a callback that submits what fails at once must not keep us here.
  int delivered = 0;
  for (uint32_t left = done_; left > 0 && first_done_ != kNone; --left) {
    const uint32_t index = first_done_;
    const ProbeResult result = slots_[index].result;
    Batch* const batch = slots_[index].batch;
    Unlink(index);
    FreeSlot(index);
    if (batch == nullptr) {
      const ProbeCompletion completion = slots_[index].completion;
      completion.run(completion, result);
    } else {
      const BatchCompletion completion = batch->completion;
      const size_t place = slots_[index].batch_index;
      CountDown(batch);
      completion.run(completion, place, result);
    }
    ++delivered;
  }
  return delivered;
}

int ProberCore::Process() {
  // Read before the sockets are: what came in until now is read before anything due by now is judged.
  const Nanos now = clock_(CLOCK_MONOTONIC);
  if (now - opened_ >= kStampsBegin) stamps_begun_ = true;
  Receive();
  if (!deadlines_.empty() && deadlines_.earliest() <= now) DrainLinks();
  while (!deadlines_.empty() && deadlines_.earliest() <= now) Wake(deadlines_.first(), now);
  if (batches_ != nullptr) RunBatches();
  return Deliver();
}

}  // namespace fastcontainer
