// The check that every write of a record through the C ABI passes.
#ifndef FASTCONTAINER_CAPI_RECORD_H_
#define FASTCONTAINER_CAPI_RECORD_H_

#include <string_view>

#include "absl/status/status.h"
#include "fastcontainer/records.h"

namespace fastcontainer::capi {

// InvalidArgument or Unimplemented, with a message that names the record, the field and the accepted values.
absl::Status CheckRecord(RecordKind kind, std::string_view name, std::string_view json);

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_RECORD_H_
