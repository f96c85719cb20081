#include "lib/dispatcher/placement_read.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kReadDeadline = 2 * kSecond;

}  // namespace

void PlacementRead::Start(const std::string& container, Callback callback) {
  callback_ = std::move(callback);
  records_ = {};
  deadline_.Set(reactor_.Now() + kReadDeadline, [this] {
    Fail(absl::DeadlineExceededError(absl::StrCat("no answer in ", kReadDeadline / kSecond, " s")), true);
  });
  Get(kPlacement, RecordKey(RecordKind::kPlacement, container));
  Get(kSpec, RecordKey(RecordKind::kSpec, container));
}

void PlacementRead::Get(Part part, const std::string& key) {
  ops_[part] = cmdb_.Get(key, ReadMode::kLinearizable, [this, part](absl::StatusOr<Record> record) {
    ops_[part] = 0;
    Got(part, std::move(record));
  });
}

void PlacementRead::Got(Part part, absl::StatusOr<Record> record) {
  if (!record.ok()) return Fail(record.status(), true);
  records_[part] = *std::move(record);
  if (!records_[kPlacement] || !records_[kSpec]) return;
  if (!records_[kClass] && records_[kSpec]->revision != 0) {
    const absl::StatusOr<std::string> name = SpecClass(records_[kSpec]->value);
    if (name.ok() && !name->empty()) return Get(kClass, RecordKey(RecordKind::kClass, *name));
  }
  Finish();
}

void PlacementRead::Finish() {
  ReadResult result;
  if (records_[kPlacement]->revision != 0) {
    absl::StatusOr<Placement> placement = DecodePlacement(records_[kPlacement]->value);
    if (!placement.ok()) return Fail(placement.status(), false);
    result.placement = *std::move(placement);
    result.placement_revision = records_[kPlacement]->revision;
  }
  const Record& spec = *records_[kSpec];
  result.spec_revision = absl::StrCat(spec.revision);
  std::string defaults;
  bool class_missing = false;
  if (records_[kClass]) {
    defaults = records_[kClass]->value;
    class_missing = records_[kClass]->revision == 0;
    absl::StrAppend(&result.spec_revision, "+", records_[kClass]->revision);
  }
  if (spec.revision == 0)
    result.spec = absl::NotFoundError("the container has no spec");
  else if (class_missing)
    result.spec = absl::NotFoundError(absl::StrCat("no class record ", records_[kClass]->key));
  else
    result.spec = DecodeSpec(spec.value, defaults);
  Callback callback = std::move(callback_);
  Stop();
  callback(result);
}

void PlacementRead::Fail(absl::Status status, bool unavailable) {
  ReadResult result;
  result.status = std::move(status);
  result.unavailable = unavailable;
  Callback callback = std::move(callback_);
  Stop();
  callback(result);
}

void PlacementRead::Stop() {
  deadline_.Cancel();
  callback_ = nullptr;
  for (Cmdb::OpId& op : ops_)
    if (op != 0) cmdb_.Cancel(std::exchange(op, 0));
}

}  // namespace fastcontainer
