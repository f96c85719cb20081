// Many probes at once: as fast as is asked for, and never more open than the receive buffer can answer for.
#include <errno.h>
#include <stdlib.h>

#include <new>

#include "lib/probe/prober_core.h"

namespace fastcontainer {
namespace {

// So many first packets within one Process(): the loop has other things to do.
constexpr uint32_t kPacketsAtOnce = 512;
// The machine had no room for a packet: its queues are drained within so long.
constexpr Nanos kPause = 200 * kMicrosecond;
// Ids of batches, where those of probes have a slot.
constexpr uint32_t kBatchMark = UINT32_MAX;

uint32_t Unsent(const Batch& batch) { return batch.pending_count + (batch.count - batch.next); }

}  // namespace

uint64_t ProberCore::SubmitBatch(SocketAddress* hosts, uint32_t count, const ProbeOptions& options,
                                 uint32_t packets_per_second, const BatchCompletion& completion) {
  void* const memory = malloc(sizeof(Batch));
  if (memory == nullptr) {
    free(hosts);
    return 0;
  }
  auto* const batch = new (memory) Batch;
  if (++last_batch_ == 0) last_batch_ = 1;
  batch->number = last_batch_;
  batch->hosts = hosts;
  batch->count = batch->left = count;
  batch->options = options;
  batch->completion = completion;
  batch->pace = Pace(packets_per_second, clock_(CLOCK_MONOTONIC));
  batch->next_batch = batches_;
  batches_ = batch;
  return (static_cast<uint64_t>(batch->number) << 32) | kBatchMark;
}

void ProberCore::FreeBatch(Batch* batch) {
  Batch** link = &batches_;
  while (*link != batch) link = &(*link)->next_batch;
  *link = batch->next_batch;
  free(batch->hosts);
  free(batch);
}

bool ProberCore::CancelBatch(uint64_t id) {
  if (static_cast<uint32_t>(id) != kBatchMark) return false;
  Batch* batch = batches_;
  while (batch != nullptr && batch->number != id >> 32) batch = batch->next_batch;
  if (batch == nullptr) return false;
  for (uint32_t index = 0; index < capacity_; ++index)
    if (slots_[index].state != State::kFree && slots_[index].batch == batch) CancelSlot(index);
  FreeBatch(batch);
  return true;
}

// One host less to call back for. With the last, the batch is gone.
void ProberCore::CountDown(Batch* batch) {
  if (--batch->left == 0) FreeBatch(batch);
}

// How many more probes may begin on this socket so that all the answers that may come at once fit its receive
// buffer, or its sockets the table of descriptors.
uint32_t ProberCore::RoomFor(uint32_t socket, uint32_t packets_each) {
  Use& use = use_[socket];
  Age(&use, clock_(CLOCK_MONOTONIC));
  const uint32_t taken = sockets_.HasMany(socket) ? use.young[0] + use.young[1] : use.waiting;
  const uint32_t room = sockets_.room(socket) / packets_each;
  return taken < room ? room - taken : 0;
}

// INT64_MAX: it waits for answers.
Nanos ProberCore::WakeOf(const Batch& batch) const {
  const uint32_t unsent = Unsent(batch);
  if (unsent == 0) return INT64_MAX;
  if (batch.pending_count > 0) {
    const Slot& first = slots_[batch.pending[0]];
    if (batch.full)
      return sockets_.HasMany(first.socket) ? (use_[first.socket].slice + 1) * kSlice : INT64_MAX;
  }
  const Nanos at = batch.pace.Next(unsent);
  return at > batch.paused_until ? at : batch.paused_until;
}

void ProberCore::RunBatches() {
  for (Batch* batch = batches_; batch != nullptr; batch = batch->next_batch) {
    uint32_t done = 0;
    while (done < kPacketsAtOnce) {
      const uint32_t sent = RunBatch(batch);
      if (sent == 0) break;
      done += sent;
    }
  }
}

// Probes that need no packet of their own are over by then.
void ProberCore::Fill(Batch* batch, uint32_t wanted) {
  while (batch->pending_count < wanted && batch->next < batch->count) {
    const uint32_t index = TakeSlot();
    if (index == kNone) return;  // no memory; some are given back
    slots_[index].batch = batch;
    slots_[index].batch_index = batch->next;
    if (Start(index, batch->hosts[batch->next++], batch->options))
      batch->pending[batch->pending_count++] = index;
  }
}

// One round of packets; how many.
uint32_t ProberCore::RunBatch(Batch* batch) {
  const Nanos now = clock_(CLOCK_MONOTONIC);
  if (now < batch->paused_until) return 0;
  uint32_t count = batch->pace.Allowed(now);
  Fill(batch, count);
  if (batch->pending_count < count) count = batch->pending_count;
  if (count == 0) return 0;
  const uint32_t socket = slots_[batch->pending[0]].socket;
  const uint32_t room = RoomFor(socket, 1u + slots_[batch->pending[0]].hedges);
  batch->full = room == 0;
  if (room < count) count = room;
  uint32_t same = 0;
  while (same < count && slots_[batch->pending[same]].socket == socket) ++same;
  if (same == 0) return 0;
  bool pressure = false;
  const uint32_t sent = SendFirst(socket, batch->pending, same, &pressure);
  batch->pace.Take(sent, now);
  batch->pending_count -= sent;
  for (uint32_t i = 0; i < batch->pending_count; ++i) batch->pending[i] = batch->pending[i + sent];
  if (pressure) batch->paused_until = now + kPause;
  if (use_[socket].unread >= kUnreadLimit) ReceiveFrom(socket);
  return sent;
}

// The first packets of `count` probes, all of one socket. How many have been dealt with; fewer only under
// pressure.
uint32_t ProberCore::SendFirst(uint32_t socket, const uint32_t* indices, uint32_t count, bool* pressure) {
  if (!sockets_.HasMany(socket)) {
    for (uint32_t i = 0; i < count; ++i) SendAlone(indices[i]);
    return count;
  }
  Outgoing out[Pace::kMostAtOnce];
  for (uint32_t i = 0; i < count; ++i) {
    Slot& slot = slots_[indices[i]];
    slot.packet[0].sequence = next_sequence_++;
    out[i].target = &slot.target;
    out[i].options = &slot.options;
    out[i].sequence = slot.packet[0].sequence;
    out[i].tag = {slot.cookie, indices[i], 0};
  }
  const Reading before = ReadClocks();
  int error = 0;
  const uint32_t sent = sockets_.SendMany(socket, out, count, &error);
  const Nanos after = clock_(CLOCK_MONOTONIC);
  for (uint32_t i = 0; i < sent; ++i) HasLeft(indices[i], before, after, i, sent);
  if (sent > 0) return sent;  // if not all have left, the next call says why
  *pressure = IsPressure(error);
  if (*pressure) return 0;
  SendAlone(indices[0]);  // finds out whose error it is
  return 1;
}

// The packets of one system call left one after the other, in about equal times.
void ProberCore::HasLeft(uint32_t index, const Reading& before, Nanos after, uint32_t place, uint32_t count) {
  Slot& slot = slots_[index];
  const Nanos length = after - before.monotonic;
  slot.packet[0].before = before.monotonic + length * place / count;
  slot.packet[0].after = before.monotonic + length * (place + 1) / count;
  slot.packet[0].offset = before.offset;
  slot.start = slot.packet[0].before;
  slot.deadline = after + slot.length;
  slot.tries = 1;
  slot.result.packets = 1;
  Use& use = use_[slot.socket];
  BeginToWait(&slot, after);
  ++use.unread;
  ++stats_.sent;
  Schedule(index);
}

}  // namespace fastcontainer
