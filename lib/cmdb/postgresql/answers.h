// From a server's answers to the CMDB's.
#ifndef FASTCONTAINER_LIB_CMDB_POSTGRESQL_ANSWERS_H_
#define FASTCONTAINER_LIB_CMDB_POSTGRESQL_ANSWERS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/postgresql/connection.h"
#include "lib/cmdb/watch_set.h"

namespace fastcontainer::postgresql {

// The first text that is greater than everything that starts with `prefix`.
std::string EndOf(std::string_view prefix);
// encode(..., 'escape') backwards.
std::string Unescaped(std::string_view text);

// Unavailable, of an answer that is not kRows.
absl::Status ErrorOf(const Answer& answer);
absl::StatusOr<Record> RecordOf(std::string_view key, const Answer& answer);
// `limit`: of the question, which was for one more.
absl::StatusOr<ListPage> PageOf(uint64_t at_revision, uint32_t limit, const Answer& answer);
absl::StatusOr<ChangeBatch> ChangesOf(uint64_t limit, const Answer& answer);
// kLost is kUnknown, and kRefused and kNotSent are kUnavailable.
TxnResult TxnResultOf(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations,
                      const Answer& answer);
// Refused because of what others did at the time: it may succeed when it is asked again.
bool MayBeRetried(const Answer& answer);

}  // namespace fastcontainer::postgresql

#endif  // FASTCONTAINER_LIB_CMDB_POSTGRESQL_ANSWERS_H_
