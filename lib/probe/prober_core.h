// The prober without an event loop: a table of probes, a heap of deadlines, and the sockets. It needs libc
// only, starts no thread, and allocates only when more probes are open at once, or more hosts are remembered,
// than ever before.
//
// A probe that times out while the interface it asked for has no carrier is a local fault (ENETDOWN). If it
// asked for none, that of the route counts, but only where the loss was seen by this prober.
//
// Threads: one. Callbacks run inside Process() only, once for each Submit(), or never after Cancel() has
// returned true. Submit() and Cancel() may be called from them; Process() and the destructor may not.
//
// All times are nanoseconds; points are on CLOCK_MONOTONIC.
#ifndef FASTCONTAINER_LIB_PROBE_PROBER_CORE_H_
#define FASTCONTAINER_LIB_PROBE_PROBER_CORE_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "fastcontainer/probe.h"
#include "lib/probe/batch.h"
#include "lib/probe/deadline_heap.h"
#include "lib/probe/known_hosts.h"
#include "lib/probe/link_watch.h"
#include "lib/probe/probe_sockets.h"

namespace fastcontainer {

// What to run when a verdict is there. `function` is for adapters that hand the result on to a function of
// another type.
struct ProbeCompletion {
  void (*run)(const ProbeCompletion& self, const ProbeResult& result) = nullptr;
  void* user_data = nullptr;
  void (*function)() = nullptr;
};

// As in fc_prober_stats.
struct ProberStats {
  uint64_t sent = 0;
  uint64_t received = 0;
  uint64_t foreign = 0;
  uint64_t lost = 0;
  uint64_t clock_steps = 0;
  uint64_t link_changes = 0;
  uint64_t shared = 0;
};

class ProberCore {
 public:
  // clock_gettime in nanoseconds; tests pass their own.
  using Clock = Nanos (*)(clockid_t id);
  static Nanos SystemClock(clockid_t id);

  explicit ProberCore(Clock clock = &SystemClock) : clock_(clock) {}
  ~ProberCore();
  ProberCore(const ProberCore&) = delete;
  ProberCore& operator=(const ProberCore&) = delete;

  // Opens the socket of `mechanism` and `family`, which serves probes that name none; kNone: a ping socket,
  // else a raw one. Others are opened when they are first used. 0 or an errno; EPERM and EACCES: not
  // permitted, and problem() says what would allow it. The prober is usable nevertheless: probes by a
  // mechanism that is not permitted are answered with kLocalFault (EPERM), others go on.
  int Open(ProbeMechanism mechanism = ProbeMechanism::kNone, int receive_buffer = 0,
           sa_family_t family = AF_INET);
  const char* problem() const { return sockets_.problem(); }
  // What serves probes that name none; kNone: nothing is permitted. Opens it.
  ProbeMechanism MechanismFor(sa_family_t family);

  // Readable when Process() has something to read; the same for the prober's life. -1: not opened.
  int fd() const { return sockets_.epoll_fd(); }
  // When to call Process() at the latest; INT64_MAX: no need. A point that has passed: a verdict waits, which
  // Submit() may cause. Never 0.
  Nanos NextDeadline() const;
  // Reads the sockets and their error queues, then judges what is due, then runs callbacks; returns how many.
  int Process();

  // Sends the first packet. Returns the probe's id; 0: no memory. Whatever else is wrong becomes a verdict.
  uint64_t Submit(const sockaddr* target, socklen_t length, const ProbeOptions& options,
                  const ProbeCompletion& completion);
  // The same question to `count` hosts (not 0); as fc_prober_batch(). `hosts` is of malloc() and is taken
  // over, whatever the outcome. Returns the batch's id; 0: no memory.
  uint64_t SubmitBatch(SocketAddress* hosts, uint32_t count, const ProbeOptions& options,
                       uint32_t packets_per_second, const BatchCompletion& completion);
  // Of a probe or of a batch. True: its callback will never run (again). False: no such thing, or it has run.
  bool Cancel(uint64_t id);

  // The completion's user_data, while Cancel() would return true; else null.
  void* UserData(uint64_t id) const;

  // Evidence of life without a probe, for probes that ask for freshness. `rtt` 0: unknown.
  void NoteAlive(const SocketAddress& host, Nanos rtt);
  // As fc_prober_note_connection(): 0; ENOENT: the kernel knows nothing yet; else an errno: no such socket.
  int NoteConnection(int fd);

  size_t open_probes() const { return waiting_; }
  ProberStats stats() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // A loop that was late a second ago may be late again.
  static constexpr Nanos kStallHalfLife = kSecond;
  // Loopback answers inside sendto(); a loop that submits thousands of probes before it reads would overflow
  // the receive buffer, whose default holds about 280 packets.
  static constexpr uint32_t kUnreadLimit = 64;

  enum class State : uint8_t { kFree, kWaiting, kJoined, kDone };

  struct Slot {
    uint64_t cookie;
    uint32_t generation;
    State state;
    uint8_t socket;
    uint8_t tries;  // packets made, whether they left or not
    uint8_t hedges;
    uint8_t next_hedge;
    int local_error;  // of a packet that did not leave
    uint32_t previous;
    uint32_t next;    // in the list of free slots, of verdicts that wait, or of those who joined
    uint32_t joined;  // the first of those who joined this probe; of one that has: whom
    bool remembered;  // the table of hosts is to learn from it
    bool joinable;
    bool abandoned;  // by its caller; others have joined
    Nanos asked_deadline;
    Nanos deadline_max;
    SocketAddress target;
    Nanos start;
    Nanos length;
    Nanos deadline;
    Nanos hedge[kMaxHedges];
    Departure packet[1 + kMaxHedges];
    PacketOptions options;
    ProbeResult result;
    ProbeCompletion completion;
    Nanos slice;   // when it began to wait
    Batch* batch;  // null: none
    uint32_t batch_index;
  };

  // What is known of one socket.
  struct Use {
    uint32_t waiting = 0;  // probes
    uint32_t unread = 0;   // packets sent since the socket was empty, less those read
    // Of those that wait: begun in the present slice of time, and in the one before. The others' hosts are
    // silent, or far away, and will not answer all at once.
    uint32_t young[2] = {};
    Nanos slice = 0;
  };
  static constexpr Nanos kSlice = 10 * kMillisecond;

  struct Reading {
    Nanos monotonic;
    Nanos offset;
  };

  struct Arrival {
    Nanos at;
    bool known;  // by the kernel; else `at` is when it was read
  };

  // prober_core.cc
  uint32_t Find(uint64_t id) const;  // kNone if the probe is gone
  bool Grow();
  uint32_t TakeSlot();
  void FreeSlot(uint32_t index);
  bool Start(uint32_t index, const SocketAddress& target, const ProbeOptions& options);
  int Prepare(Slot* slot, const ProbeOptions& options);
  void SetTimes(Slot* slot, const ProbeOptions& options, Nanos length);
  void Queue(uint32_t index);
  void Decide(uint32_t index, Verdict verdict, int error);
  void Leave(Slot* slot);
  void Unlink(uint32_t index);
  void CancelSlot(uint32_t index);
  int Deliver();

  // prober_send.cc
  bool NextCookie(uint64_t* out);
  static bool IsPressure(int error);
  void SendAlone(uint32_t index);
  void SendPacket(uint32_t index);
  int TrySend(Slot* slot, Departure* packet);
  void Schedule(uint32_t index);
  void Wake(uint32_t index, Nanos now);

  // prober_receive.cc
  void Receive();
  bool ReceiveFrom(uint32_t socket);
  void ReceiveFailures(uint32_t socket);
  int ReceiveManyFrom(uint32_t socket);
  void OnAnswer(uint32_t socket, const Answer& answer, const Reading& now);
  void OnFailure(uint32_t socket, const Failure& failure);
  void Accept(uint32_t index, uint32_t packet, Verdict verdict, Nanos stamp, Nanos rtt, const Reading& now);
  uint32_t FindTagged(uint32_t socket, const PacketTag& tag, uint16_t sequence) const;
  uint32_t FindUntagged(uint32_t socket, const Failure& failure);
  Reading ReadClocks() const;
  Arrival ArrivalOf(const Departure& packet, Nanos stamp, Nanos rtt, const Reading& now);

  // prober_evidence.cc
  bool AskHost(uint32_t index, const ProbeOptions& options);
  Nanos AdaptedDeadline(const KnownHost& host, const ProbeOptions& options, Nanos now) const;
  bool UseEvidence(uint32_t index, const KnownHost& host, Nanos freshness);
  bool Join(uint32_t index, uint32_t other);
  void Share(uint32_t index);
  void EndAbandoned(uint32_t index);
  void CancelShared(uint32_t index);
  void Learn(const Slot& slot, Nanos rtt, Nanos at);
  void Remember(uint32_t index, uint32_t answered);
  void LearnLate(const Answer& answer, const Reading& now);
  void DrainLinks();

  // prober_batch.cc
  void FreeBatch(Batch* batch);
  bool CancelBatch(uint64_t id);
  void CountDown(Batch* batch);
  uint32_t RoomFor(uint32_t socket, uint32_t packets_each);
  static void Age(Use* use, Nanos now);
  void BeginToWait(Slot* slot, Nanos now);
  Nanos WakeOf(const Batch& batch) const;
  void RunBatches();
  void Fill(Batch* batch, uint32_t wanted);
  uint32_t RunBatch(Batch* batch);
  uint32_t SendFirst(uint32_t socket, const uint32_t* indices, uint32_t count, bool* pressure);
  void HasLeft(uint32_t index, const Reading& before, Nanos after, uint32_t place, uint32_t count);

  const Clock clock_;
  ProbeSockets sockets_;
  Use use_[ProbeSockets::kCount];
  // The first socket of a machine that asks for stamps gets them a few milliseconds later. Until then what
  // has been waiting in it is stamped when it is read.
  static constexpr Nanos kStampsBegin = 100 * kMillisecond;
  Nanos opened_ = 0;
  bool stamps_begun_ = false;
  Nanos read_began_ = 0;  // while they have not
  DeadlineHeap deadlines_;
  Slot* slots_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t free_ = kNone;
  uint32_t waiting_ = 0;
  uint32_t done_ = 0;
  uint32_t first_done_ = kNone;
  uint32_t last_done_ = kNone;
  Batch* batches_ = nullptr;
  uint32_t last_batch_ = 0;
  uint16_t next_sequence_ = 0;
  uint32_t cookies_left_ = 0;
  uint64_t cookies_[64] = {};
  Nanos last_step_ = 0;  // when CLOCK_REALTIME was last found to have been set
  KnownHosts hosts_;
  LinkWatch links_;
  Nanos links_changed_ = INT64_MIN;
  DecayingMaximum stall_;
  ProberStats stats_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_PROBER_CORE_H_
