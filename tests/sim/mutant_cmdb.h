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
#include "tests/sim/world.h"

namespace fastcontainer::sim {

enum class Mutant : uint8_t {
  kNone,
  kPut,               // placements are written without a comparison
  kIgnoredConflicts,  // a conflict is taken for a success
  kStaleReads,        // a dispatcher's reading is the first one that it ever made
  kPredecessorOnly,   // a placement's `unfenced` names the host that was left last, and no earlier one
  kNothingUnfenced,   // it names nobody
  kNoSelfFencing,     // a dispatcher takes its heartbeat for kept, whatever the store says
  kOldRecords,        // a change of a placement is told with the value that the placement had first
  kErrorIsEmpty,      // a list that fails is taken for an empty one
  kUnknownIsOk,       // a write whose outcome is not known is taken for done
  kUnknownIsLost,     // it is taken for not done
  kNewerIsGone,       // a heartbeat of a later incarnation is taken for absent
  kNoBudget,          // a router relocates as much as it likes
  kUnsafeResend,      // a proxy forgets that bytes were written
};

class MutantCmdb final : public Cmdb {
 public:
  // Deadlines are told by the process' clock; the store has its own.
  MutantCmdb(Mutant mutant, MemoryCmdb& cmdb, const SimReactor& loop)
      : mutant_(mutant), cmdb_(cmdb), loop_(loop) {}

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback) override {
    if (mutant_ == Mutant::kNewerIsGone) callback = HideNewer(std::move(callback));
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
    if (mutant_ != Mutant::kErrorIsEmpty)
      return cmdb_.List(prefix, after, at_revision, limit, std::move(callback));
    return cmdb_.List(prefix, after, at_revision, limit,
                      [this, callback = std::move(callback)](absl::StatusOr<ListPage> page) mutable {
                        if (!page.ok()) page = ListPage{cmdb_.store().revision(), {}, ""};
                        callback(std::move(page));
                      });
  }
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback) override {
    if (mutant_ == Mutant::kPut) compares.clear();
    if (mutant_ == Mutant::kPredecessorOnly) KeepUnfenced(1, &mutations);
    if (mutant_ == Mutant::kNothingUnfenced) KeepUnfenced(0, &mutations);
    if (deadline != 0) deadline = loop_.ToWorld(deadline);
    if (mutant_ != Mutant::kIgnoredConflicts && mutant_ != Mutant::kUnknownIsOk &&
        mutant_ != Mutant::kUnknownIsLost)
      return cmdb_.Txn(std::move(compares), std::move(mutations), deadline, std::move(callback));
    return cmdb_.Txn(std::move(compares), std::move(mutations), deadline,
                     [this, callback = std::move(callback)](TxnResult result) mutable {
                       const bool unknown = result.outcome == TxnOutcome::kUnknown;
                       result.outcome = Told(mutant_, result.outcome);
                       if (unknown && result.outcome == TxnOutcome::kOk)
                         result.revision = cmdb_.store().revision();
                       callback(std::move(result));
                     });
  }
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) override {
    if (mutant_ != Mutant::kOldRecords) return cmdb_.Watch(prefix, after_revision, std::move(callback));
    return cmdb_.Watch(
        prefix, after_revision, [this, callback = std::move(callback)](const WatchEvent& event) mutable {
          WatchEvent told = event;
          const absl::StatusOr<ParsedKey> key = ParseRecordKey(event.record.key);
          if (key.ok() && key->kind == RecordKind::kPlacement)
            told.record.value = first_.emplace(told.record.key, told.record).first->second.value;
          callback(told);
        });
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
  static TxnOutcome Told(Mutant mutant, TxnOutcome outcome) {
    if (mutant == Mutant::kIgnoredConflicts && outcome == TxnOutcome::kConflict) return TxnOutcome::kOk;
    if (mutant == Mutant::kUnknownIsOk && outcome == TxnOutcome::kUnknown) return TxnOutcome::kOk;
    if (mutant == Mutant::kUnknownIsLost && outcome == TxnOutcome::kUnknown) return TxnOutcome::kUnavailable;
    return outcome;
  }
  GetCallback HideNewer(GetCallback callback) {
    return [this, callback = std::move(callback)](absl::StatusOr<Record> record) mutable {
      const absl::StatusOr<ParsedKey> key = record.ok() ? ParseRecordKey(record->key) : record.status();
      if (key.ok() && key->kind == RecordKind::kHeartbeat && record->revision != 0 &&
          first_.emplace(record->key, *record).first->second.value != record->value)
        *record = Record{record->key, "", 0};
      callback(std::move(record));
    };
  }
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
  const SimReactor& loop_;
  std::map<std::string, Record> first_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_MUTANT_CMDB_H_
