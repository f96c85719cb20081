// One linearizable look at a container's records: placement, spec and class.
#ifndef FASTCONTAINER_LIB_DISPATCHER_PLACEMENT_READ_H_
#define FASTCONTAINER_LIB_DISPATCHER_PLACEMENT_READ_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/records.h"
#include "lib/dispatcher/timer.h"

namespace fastcontainer {

struct ReadResult {
  absl::Status status;                 // the CMDB did not answer, or the placement cannot be read
  bool unavailable = false;            // of the two: the CMDB did not answer
  std::optional<Placement> placement;  // none: the record is absent
  uint64_t placement_revision = 0;
  absl::StatusOr<Spec> spec = absl::UnknownError("not read");
  std::string spec_revision;
};

// One reading at a time.
class PlacementRead {
 public:
  using Callback = absl::AnyInvocable<void(const ReadResult&)>;

  PlacementRead(Reactor& reactor, Cmdb& cmdb) : reactor_(reactor), cmdb_(cmdb), deadline_(reactor) {}
  ~PlacementRead() { Stop(); }
  PlacementRead(const PlacementRead&) = delete;
  PlacementRead& operator=(const PlacementRead&) = delete;

  bool busy() const { return callback_ != nullptr; }
  // The callback runs once, later; a CMDB that is silent for two seconds counts as unavailable.
  void Start(const std::string& container, Callback callback);
  // The callback does not run.
  void Stop();

 private:
  enum Part : size_t { kPlacement, kSpec, kClass, kParts };
  void Get(Part part, const std::string& key);
  void Got(Part part, absl::StatusOr<Record> record);
  void Finish();
  void Fail(absl::Status status, bool unavailable);

  Reactor& reactor_;
  Cmdb& cmdb_;
  Timer deadline_;
  Callback callback_;
  std::array<Cmdb::OpId, kParts> ops_{};
  std::array<std::optional<Record>, kParts> records_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_PLACEMENT_READ_H_
