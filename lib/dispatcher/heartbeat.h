// This host's heartbeat: a record under a lease of the CMDB, which goes when nobody keeps it. Only while it
// is there for certain may containers with Writers::kSingle run here.
#ifndef FASTCONTAINER_LIB_DISPATCHER_HEARTBEAT_H_
#define FASTCONTAINER_LIB_DISPATCHER_HEARTBEAT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "fastcontainer/cmdb.h"
#include "lib/dispatcher/context.h"
#include "lib/dispatcher/timer.h"

namespace fastcontainer {

// "For certain" is until the lease's TTL has passed since the last successful question was *sent*, less a
// tenth: the store counts from when it was reached, which is later, and two clocks run at two speeds.
class Heartbeat {
 public:
  // `changed` runs when it begins to hold, each time it is extended, and when it ends; it may be called from
  // Holds() and term().
  Heartbeat(DispatcherContext& context, std::function<void()> changed)
      : context_(context), changed_(std::move(changed)), next_(context.reactor), end_(context.reactor) {}
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  void Start(uint64_t incarnation);
  // Ends it, until it is started again.
  void Stop(const std::string& why);
  bool Holds() { return term() != 0; }
  // Counts the times it began to hold; 0 while it does not. What was read in one term says nothing in
  // another.
  uint64_t term();
  // On the reactor's clock; 0 while it does not hold.
  Nanos until() const { return term_ == 0 ? 0 : until_ - Asleep(); }
  // Asked for, and neither granted nor refused yet.
  bool pending() const { return terms_ == 0 && error_.empty(); }
  // This CMDB has no leases: no host has a heartbeat.
  bool unsupported() const { return unsupported_; }
  // Why it does not hold, for people.
  std::string why() const { return error_.empty() ? "it is not there yet" : error_; }

 private:
  Nanos Clock() const;
  Nanos Asleep() const { return Clock() - context_.reactor.Now(); }
  void Grant();
  void Put(const CmdbLease& lease, Nanos sent);
  void OnPut(const TxnResult& result, const CmdbLease& lease, Nanos sent);
  void Keep();
  void OnKept(const absl::StatusOr<CmdbLease>& lease, Nanos sent);
  void Extend(Nanos ttl, Nanos sent);
  void ArmEnd();
  void End(const std::string& why);
  void Again(const absl::Status& why);
  void Forget();

  DispatcherContext& context_;
  const std::function<void()> changed_;
  uint64_t incarnation_ = 0;
  Cmdb::OpId op_ = 0;
  uint64_t lease_ = 0;
  uint64_t term_ = 0;
  uint64_t terms_ = 0;
  Nanos until_ = 0;  // by Clock()
  Nanos delay_ = 0;
  std::string error_;
  bool unsupported_ = false;
  Timer next_;  // the next question, or the time at which the present one is given up
  Timer end_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_HEARTBEAT_H_
