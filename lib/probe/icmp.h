// The ICMP prober without an event loop: one socket, a table of probes, a heap of deadlines. It needs libc
// only, starts no thread, and allocates only when more probes are open at once than ever before.
//
// Threads: one. Callbacks run inside Process() only, once for each Submit(), or never after Cancel() has
// returned true. Submit() and Cancel() may be called from them; Process() and the destructor may not.
#ifndef FASTCONTAINER_LIB_PROBE_ICMP_H_
#define FASTCONTAINER_LIB_PROBE_ICMP_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

#include "fastcontainer/probe.h"
#include "lib/probe/deadline_heap.h"
#include "lib/probe/icmp_socket.h"

namespace fastcontainer {

// The numbers are those of Verdict and FC_VERDICT_. ICMP gives no kUpPortClosed.
enum class IcmpVerdict : uint8_t { kUp = 0, kDownUnreachable = 2, kDownTimeout = 3, kLocalFault = 4 };

// All times are nanoseconds; points are on CLOCK_MONOTONIC.
struct IcmpOptions {
  int64_t deadline = 10'000'000;  // from the departure of the first packet
  // Further packets inside the same deadline, from Submit(); 0, or not before the deadline: none.
  int64_t hedge[kMaxHedges] = {3'000'000, 0};
};

struct IcmpResult {
  IcmpVerdict verdict = IcmpVerdict::kLocalFault;
  IcmpMechanism mechanism = IcmpMechanism::kNone;
  uint8_t packets = 0;  // that left
  int error = 0;        // errno, for kDownUnreachable and kLocalFault
  int icmp_type = -1;   // of the ICMP error, where there was one
  int icmp_code = -1;
  int64_t rtt = 0;       // from the answered packet's departure to the kernel's receive stamp
  int64_t user_rtt = 0;  // the same to the time when it was read; equals rtt if there was no usable stamp
};

// What to run when a verdict is there. `function` is for adapters that hand the result on to a function of
// another type.
struct IcmpCompletion {
  void (*run)(const IcmpCompletion& self, const IcmpResult& result) = nullptr;
  void* user_data = nullptr;
  void (*function)() = nullptr;
};

class IcmpProber {
 public:
  // clock_gettime in nanoseconds; tests pass their own.
  using Clock = int64_t (*)(clockid_t id);
  static int64_t SystemClock(clockid_t id);

  explicit IcmpProber(Clock clock = &SystemClock) : clock_(clock) {}
  ~IcmpProber();
  IcmpProber(const IcmpProber&) = delete;
  IcmpProber& operator=(const IcmpProber&) = delete;

  // 0 or an errno; EPERM and EACCES: not permitted, and problem() names the sysctl. A prober that is not open
  // answers each probe with kLocalFault (EPERM).
  int Open() { return socket_.Open(); }
  const char* problem() const { return socket_.problem(); }
  IcmpMechanism mechanism() const { return socket_.mechanism(); }

  // Readable when Process() has something to read. -1 if it is not open.
  int fd() const { return socket_.fd(); }
  // When to call Process() at the latest; INT64_MAX: no need. A point that has passed: a verdict waits, which
  // Submit() may cause. Never 0.
  int64_t NextDeadline() const;
  // Reads the socket and its error queue, then judges what is due, then runs callbacks; returns how many.
  int Process();

  // Sends the first packet. Returns the probe's id; 0: no memory. Whatever else is wrong becomes a verdict.
  uint64_t Submit(const sockaddr* target, socklen_t length, const IcmpOptions& options,
                  const IcmpCompletion& completion);
  // True: its callback will never run. False: no such probe, or it has run.
  bool Cancel(uint64_t id);

  // The completion's user_data, while Cancel() would return true; else null.
  void* UserData(uint64_t id) const;
  size_t open_probes() const { return waiting_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  enum class State : uint8_t { kFree, kWaiting, kDone };

  struct Packet {
    int64_t before = 0;  // its departure lies between these two
    int64_t after = 0;
    int64_t offset = 0;  // CLOCK_REALTIME - CLOCK_MONOTONIC, too large by at most after - before
    uint16_t sequence = 0;
  };

  struct Slot {
    uint64_t cookie;
    in_addr target;
    uint32_t generation;
    State state;
    uint8_t tries;  // packets made, whether they left or not
    uint8_t hedges;
    uint8_t next_hedge;
    int local_error;  // of a packet that did not leave
    uint32_t previous;
    uint32_t next;  // in the list of free slots or of verdicts that wait
    int64_t start;
    int64_t length;
    int64_t deadline;
    int64_t hedge[kMaxHedges];
    Packet packet[1 + kMaxHedges];
    IcmpResult result;
    IcmpCompletion completion;
  };

  struct Reading {
    int64_t monotonic;
    int64_t offset;
  };

  // kNone if the probe is gone.
  uint32_t Find(uint64_t id) const;
  bool Grow();
  uint32_t TakeSlot();
  void FreeSlot(uint32_t index);
  void Begin(uint32_t index, const sockaddr* target, socklen_t length, const IcmpOptions& options);
  bool NextCookie(uint64_t* out);

  void SendPacket(uint32_t index);
  int TrySend(Slot* slot, Packet* packet);
  void Schedule(uint32_t index);
  void Wake(uint32_t index, int64_t now);

  void Receive();
  void ReceiveFailures();
  void OnReply(const IcmpReply& reply);
  void OnFailure(const IcmpFailure& failure);
  uint32_t FindTagged(const Echo& echo) const;
  uint32_t FindUntagged(const IcmpFailure& failure) const;
  Reading ReadClocks() const;

  void Decide(uint32_t index, IcmpVerdict verdict, int error);
  void Unlink(uint32_t index);
  int Deliver();

  const Clock clock_;
  IcmpSocket socket_;
  DeadlineHeap deadlines_;
  Slot* slots_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t free_ = kNone;
  uint32_t waiting_ = 0;
  uint32_t done_ = 0;
  uint32_t first_done_ = kNone;
  uint32_t last_done_ = kNone;
  uint32_t sent_unread_ = 0;  // packets sent since the socket was empty, less those read
  uint16_t next_sequence_ = 0;
  uint32_t cookies_left_ = 0;
  uint64_t cookies_[64] = {};
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_ICMP_H_
