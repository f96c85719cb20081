// What every driver refuses before it asks its store.
#ifndef FASTCONTAINER_LIB_CMDB_TXN_CHECK_H_
#define FASTCONTAINER_LIB_CMDB_TXN_CHECK_H_

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "fastcontainer/cmdb.h"

namespace fastcontainer {

inline constexpr Nanos kDefaultTxnDeadline = 5 * kSecond;

// A key must not be empty, and is changed at most once in a transaction: its revision names one value.
inline absl::Status CheckTxn(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations) {
  for (const Compare& compare : compares)
    if (compare.key.empty()) return absl::InvalidArgumentError("a transaction compares an empty key");
  std::set<std::string_view> changed;
  for (const Mutation& mutation : mutations) {
    if (mutation.key.empty()) return absl::InvalidArgumentError("a transaction changes an empty key");
    if (!changed.insert(mutation.key).second)
      return absl::InvalidArgumentError(absl::StrCat("a transaction changes ", mutation.key, " twice"));
  }
  return absl::OkStatus();
}

// Of a transaction that ends with kLeaseEnded because of this put.
inline std::string LeaseEndedText(const Mutation& put) {
  return absl::StrCat("nothing was applied: the lease ", put.lease, " of ", put.key, " has ended");
}

inline constexpr Nanos kMaxLeaseTtl = 365 * 24 * 3'600 * kSecond;

inline absl::Status CheckLeaseTtl(Nanos ttl) {
  if (ttl > 0 && ttl <= kMaxLeaseTtl) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the ttl of a lease is ", ttl, " ns; accepted is more than 0 and at most a year"));
}

inline absl::Status LeaseNotFound(uint64_t lease) {
  return absl::NotFoundError(absl::StrCat("the lease ", lease, " has ended"));
}

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_TXN_CHECK_H_
