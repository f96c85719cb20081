// Who holds how many tickets of one container, and how its concurrency is divided. No I/O; time is passed in.
#ifndef FASTCONTAINER_LIB_DISPATCHER_LEASES_H_
#define FASTCONTAINER_LIB_DISPATCHER_LEASES_H_

#include <cstdint>
#include <map>

#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"
#include "lib/dispatch/channel.h"

namespace fastcontainer {

struct Lease {
  Address from;  // where the router's last question came from
  Nanos expires = 0;
  uint32_t open = 0;
  uint32_t waiting = 0;
  uint32_t target = 0;      // its share by demand
  uint32_t slots = 0;       // what it is to be told now
  uint32_t told_slots = 0;  // its share as last granted
  uint32_t held = 0;    // the most that it may be using: what it was told and has not said to have given up
  bool silent = false;  // it had tickets, and is not heard from any more: it may be gone
  uint64_t last_report = 0;  // request id of the last RENEW whose busy time was counted
};

class Leases {
 public:
  using Map = std::map<PeerId, Lease>;  // ordered: a simulation's seed reproduces the order of messages

  // Makes or extends the peer's lease; those of earlier boots of the same sender end.
  Lease& Put(const PeerId& peer, const Address& from, uint32_t open, uint32_t waiting, Nanos expires);
  Lease* Find(const PeerId& peer);
  bool Erase(const PeerId& peer) { return leases_.erase(peer) != 0; }
  void Clear() { leases_.clear(); }
  // Drops what has expired and returns how many; `*tickets` is what they had last reported. With
  // `keep_open`, leases with open tickets stay: a stop waits for these.
  uint32_t Expire(Nanos now, bool keep_open, uint64_t* tickets);
  // kForever if there is none.
  Nanos NextExpiry() const;
  // Open and waiting, over all leases.
  uint64_t open() const;
  uint64_t waiting() const;
  // The router says that its share is `slots`, and how many tickets are open was put before.
  static void Reported(Lease& lease, uint32_t slots);
  // The router is being told `slots`.
  static void Tell(Lease& lease);
  // Marks those as silent that had tickets when they last reported, before `since`: reports extend leases, by
  // `length` each.
  void MarkSilent(Nanos since, Nanos length);
  // Sets each lease's `target`: at least 1, in proportion to demand + 1 (so that the idle keep a share to
  // begin with), together `concurrency` wherever there are not more leases than that. And its `slots`: down
  // to the target if that is less by a quarter or more, or if another lease lacks much; up to the target, by
  // no more than what is certainly not in use by others, but for the one slot that each has. Who is silent
  // counts for that one.
  void Divide(uint32_t concurrency);
  // Whether a router is to be told before it asks: it has less, or at least a quarter more.
  static bool WorthTelling(const Lease& lease);

  Map& map() { return leases_; }
  const Map& map() const { return leases_; }
  size_t size() const { return leases_.size(); }
  bool empty() const { return leases_.empty(); }

 private:
  void SetTargets(uint32_t concurrency);

  Map leases_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_LEASES_H_
