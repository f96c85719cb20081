// Placement at somebody's request: on the host that is named, or on the policy's choice.
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kRetryAfter = 1 * kSecond;

}  // namespace

RouteOp Router::Core::Place(std::string_view container, std::string_view host, std::string_view reason,
                            PlaceCallback callback) {
  const RouteOp op = next_op_++;
  Container& c = Find(container);
  TryPlace(c, std::string(host), std::string(reason), op, reactor_.Now() + options_.wait,
           std::move(callback));
  return op;
}

void Router::Core::TryPlace(Container& c, std::string wanted, std::string why, RouteOp op, Nanos until,
                            PlaceCallback callback) {
  if (PlaceNow(c, wanted, why, op, until, callback)) return;
  // The records are on their way, or a relocation is in progress.
  ++c.held;
  const Reactor::TimerId timer =
      reactor_.After(kMillisecond, [this, &c, wanted = std::move(wanted), why = std::move(why), op, until,
                                    callback = std::move(callback)]() mutable {
        placing_.erase(op);
        --c.held;
        TryPlace(c, std::move(wanted), std::move(why), op, until, std::move(callback));
      });
  placing_[op] = {timer, &c};
}

bool Router::Core::PlaceNow(Container& c, const std::string& wanted, const std::string& why, RouteOp op,
                            Nanos until, PlaceCallback& callback) {
  RouteError error;
  Directory::ContainerRecords records;
  const Directory::Answer answer = directory_->FindContainer(c.id, &records);
  const bool late = reactor_.Now() >= until;
  if (answer == Directory::Answer::kUnavailable || late) {
    error = {RouteCode::kCmdb, "the CMDB does not answer", kRetryAfter};
  } else if (answer == Directory::Answer::kLoading || !directory_->HostsLoaded() || c.relocation != nullptr) {
    return false;
  } else {
    ReadRecords(c, records);
    if (c.spec_revision == 0)
      error = {RouteCode::kNotFound, absl::StrCat("there is no spec of a container ", c.id), 0};
  }
  if (error.code == RouteCode::kOk && c.host != nullptr && c.host->id == wanted) {
    Completion done;
    done.op = op;
    done.place = std::move(callback);
    done.placed = Placed{c.id, wanted, wanted, 0, c.epoch};
    Complete(std::move(done));
    return true;
  }
  if (error.code != RouteCode::kOk) {
    Completion done;
    done.op = op;
    done.place = std::move(callback);
    done.code = error.code;
    done.error = error;
    Complete(std::move(done));
    return true;
  }
  auto relocation = std::make_unique<Relocation>();
  relocation->reason = why.empty() ? "moved" : why;
  relocation->from = c.host;
  relocation->wanted = wanted;
  relocation->placed = std::move(callback);
  relocation->place_op = op;
  BeginRelocation(c, std::move(relocation));
  return true;
}

}  // namespace fastcontainer
