// This host's record in the CMDB: raises the incarnation, writes address, port and capacity.
#ifndef FASTCONTAINER_LIB_DISPATCHER_HOST_RECORD_H_
#define FASTCONTAINER_LIB_DISPATCHER_HOST_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "fastcontainer/records.h"
#include "lib/dispatcher/context.h"
#include "lib/dispatcher/timer.h"

namespace fastcontainer {

class HostRecord {
 public:
  using DoneCallback = absl::AnyInvocable<void(absl::StatusOr<Host>)>;

  explicit HostRecord(DispatcherContext& context) : context_(context), retry_(context.reactor) {}
  ~HostRecord();
  HostRecord(const HostRecord&) = delete;
  HostRecord& operator=(const HostRecord&) = delete;

  // `unavailable` runs once if the CMDB does not answer the first attempt; the attempts go on, and `done`
  // runs when the record is written. Errors: InvalidArgument (the record that is there cannot be decoded),
  // FailedPrecondition (neither the options nor the record have an address). Again: a write in progress is
  // given up, and the incarnation is above the one that was written before, whatever the record says.
  void Write(absl::AnyInvocable<void(const absl::Status&)> unavailable, DoneCallback done);

 private:
  void Read();
  void Swap(const Record& current);
  void Again(const absl::Status& why);

  DispatcherContext& context_;
  Timer retry_;
  Nanos delay_ = 0;
  int conflicts_ = 0;
  uint64_t written_ = 0;  // the highest incarnation that this process has tried to write
  Cmdb::OpId op_ = 0;
  absl::AnyInvocable<void(const absl::Status&)> unavailable_;
  DoneCallback done_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_HOST_RECORD_H_
