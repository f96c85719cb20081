// A CMDB that lies in one way, to show that the simulation notices.
#ifndef FASTCONTAINER_TESTS_SIM_MUTANT_CMDB_H_
#define FASTCONTAINER_TESTS_SIM_MUTANT_CMDB_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fastcontainer/records.h"
#include "lib/cmdb/memory.h"

namespace fastcontainer::sim {

enum class Mutant : uint8_t {
  kNone,
  kPut,               // placements are written without a comparison
  kIgnoredConflicts,  // a conflict is taken for a success
  kStaleReads,        // a dispatcher's reading is the first one that it ever made
  kPredecessorOnly,   // a placement's `unfenced` names the host that was left last, and no earlier one
  kNothingUnfenced,   // it names nobody
  kNoSelfFencing,     // a dispatcher takes its heartbeat for kept, whatever the store says
};

class MutantCmdb final : public Cmdb {
 public:
  MutantCmdb(Mutant mutant, MemoryCmdb& cmdb) : mutant_(mutant), cmdb_(cmdb) {}

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback) override {
    if (mutant_ != Mutant::kStaleReads) return cmdb_.Get(key, mode, std::move(callback));
    return cmdb_.Get(key, mode,
                     [this, callback = std::move(callback)](absl::StatusOr<Record> record) mutable {
                       if (record.ok() && record->revision != 0)
                         *record = first_.emplace(record->key, *record).first->second;
                       callback(std::move(record));
                     });
  }
  OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
            ListCallback callback) override {
    return cmdb_.List(prefix, after, at_revision, limit, std::move(callback));
  }
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback) override {
    if (mutant_ == Mutant::kPut) compares.clear();
    if (mutant_ == Mutant::kPredecessorOnly) KeepUnfenced(1, &mutations);
    if (mutant_ == Mutant::kNothingUnfenced) KeepUnfenced(0, &mutations);
    if (mutant_ != Mutant::kIgnoredConflicts)
      return cmdb_.Txn(std::move(compares), std::move(mutations), deadline, std::move(callback));
    return cmdb_.Txn(std::move(compares), std::move(mutations), deadline,
                     [callback = std::move(callback)](TxnResult result) mutable {
                       if (result.outcome == TxnOutcome::kConflict) result.outcome = TxnOutcome::kOk;
                       callback(std::move(result));
                     });
  }
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) override {
    return cmdb_.Watch(prefix, after_revision, std::move(callback));
  }
  OpId GrantLease(Nanos ttl, LeaseCallback callback) override {
    return cmdb_.GrantLease(ttl, std::move(callback));
  }
  OpId KeepLease(uint64_t lease, LeaseCallback callback) override {
    if (mutant_ != Mutant::kNoSelfFencing) return cmdb_.KeepLease(lease, std::move(callback));
    return cmdb_.KeepLease(lease,
                           [lease, callback = std::move(callback)](const absl::StatusOr<CmdbLease>&) mutable {
                             callback(CmdbLease{lease, 10 * kSecond});
                           });
  }
  OpId RevokeLease(uint64_t lease, LeaseCallback callback) override {
    return cmdb_.RevokeLease(lease, std::move(callback));
  }
  bool Cancel(OpId id) override { return cmdb_.Cancel(id); }

 private:
  static void KeepUnfenced(size_t last, std::vector<Mutation>* mutations) {
    for (Mutation& mutation : *mutations) {
      const absl::StatusOr<ParsedKey> key = ParseRecordKey(mutation.key);
      if (!key.ok() || key->kind != RecordKind::kPlacement) continue;
      absl::StatusOr<Placement> placement = DecodePlacement(mutation.value);
      if (!placement.ok() || placement->unfenced.size() <= last) continue;
      placement->unfenced.erase(placement->unfenced.begin(),
                                placement->unfenced.end() - static_cast<ptrdiff_t>(last));
      mutation.value = EncodePlacement(*placement);
    }
  }

  const Mutant mutant_;
  MemoryCmdb& cmdb_;
  std::map<std::string, Record> first_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_MUTANT_CMDB_H_
