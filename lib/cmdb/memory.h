// A CMDB in this process: for tests, the simulation, and programs where proxy and hosts share one process.
#ifndef FASTCONTAINER_LIB_CMDB_MEMORY_H_
#define FASTCONTAINER_LIB_CMDB_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/watch_set.h"

namespace fastcontainer {

// The shared truth: every version of every key that the history still holds. Any thread.
class MemoryStore {
 public:
  static constexpr size_t kDefaultHistory = 65'536;
  // The store of this name, which lives as long as somebody holds it.
  static std::shared_ptr<MemoryStore> Named(std::string_view name);

  explicit MemoryStore(size_t history = kDefaultHistory) : history_(history) {}
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  Record Get(std::string_view key) const;
  absl::StatusOr<ListPage> List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                                uint32_t limit) const;
  TxnResult Apply(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations);
  ChangeBatch ChangesAfter(uint64_t after, size_t limit) const;
  uint64_t revision() const;

  // Leases end by the time that is passed in: each of these first ends what is due. KeepLease and
  // RevokeLease: NotFound.
  absl::StatusOr<CmdbLease> GrantLease(Nanos ttl, Nanos now);
  absl::StatusOr<CmdbLease> KeepLease(uint64_t lease, Nanos now);
  absl::StatusOr<CmdbLease> RevokeLease(uint64_t lease, Nanos now);
  void EndLeases(Nanos now);
  // When the first lease ends; kForever if there is none.
  Nanos NextLeaseEnd() const;

  // Unconditional writes, for tests and for filling a store. Both return the store's revision.
  uint64_t Put(std::string_view key, std::string_view value);
  uint64_t Delete(std::string_view key);
  // Forgets all history: lists of older revisions and watches that are behind it must begin anew.
  void Compact();

  // A backup, and what restoring one does: contents, revision and leases are those of the copy again.
  std::shared_ptr<MemoryStore> Copy() const;
  void GoBackTo(const MemoryStore& copy);

  // `changed` runs after each change and each granted lease, with the store locked, on the thread that
  // changed it.
  uint64_t AddListener(absl::AnyInvocable<void()> changed);
  void RemoveListener(uint64_t id);

 private:
  struct Version {
    uint64_t revision;
    bool deleted;
    std::string value;
  };
  using Versions = std::vector<Version>;  // ascending
  struct Lease {
    Nanos ttl;
    Nanos end;
    std::set<std::string, std::less<>> keys;
  };
  struct Change {
    uint64_t revision;
    std::string key;
  };

  Record Latest(std::string_view key) const;
  void Write(const Mutation& mutation, uint64_t revision);
  // With what follows from a change: the history is cut, the listeners are told. `before`: the log's size.
  void Publish(size_t before);
  bool LeasesLive(const std::vector<Mutation>& mutations, std::string* error) const;
  void Attach(const std::string& key, uint64_t lease);
  void DeleteAll(const std::set<std::string, std::less<>>& keys);
  void EndDueLeases(Nanos now);
  void ForgetOldest();

  const size_t history_;
  mutable std::mutex mutex_;  // guards all below
  uint64_t revision_ = 0;
  uint64_t compacted_ = 0;
  std::map<std::string, Versions, std::less<>> keys_;
  std::deque<Change> log_;
  uint64_t next_lease_ = 1;
  std::map<uint64_t, Lease> leases_;
  std::map<std::string, uint64_t, std::less<>> lease_of_;  // of the keys that have one
  uint64_t next_listener_ = 1;
  std::map<uint64_t, absl::AnyInvocable<void()>> listeners_;
};

// One handle on a store.
class MemoryCmdb final : public Cmdb {
 public:
  // What goes wrong on the way to the store. A counter is how many of the next operations it befalls; a
  // negative one befalls all.
  struct Faults {
    int fail_reads = 0;           // Get and List: Unavailable
    int fail_txns = 0;            // kUnavailable, not applied
    int conflicts = 0;            // kConflict with what each compared key has, not applied
    int unknown_applied = 0;      // kUnknown, and applied
    int unknown_not_applied = 0;  // kUnknown, and not applied
    int fail_leases = 0;          // GrantLease, KeepLease, RevokeLease: Unavailable, not done
    int lost_leases = 0;          // Unavailable, and done
    Nanos delay = 0;              // of every operation, half there and half back, and of watch events
  };

  MemoryCmdb(std::shared_ptr<MemoryStore> store, Reactor& reactor);
  ~MemoryCmdb() override;
  MemoryCmdb(const MemoryCmdb&) = delete;
  MemoryCmdb& operator=(const MemoryCmdb&) = delete;

  OpId Get(std::string_view key, ReadMode mode, GetCallback callback) override;
  OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
            ListCallback callback) override;
  OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
           TxnCallback callback) override;
  OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) override;
  OpId GrantLease(Nanos ttl, LeaseCallback callback) override;
  OpId KeepLease(uint64_t lease, LeaseCallback callback) override;
  OpId RevokeLease(uint64_t lease, LeaseCallback callback) override;
  bool Cancel(OpId id) override;

  Faults& faults();
  // The watch streams: what changes while they are disconnected is delivered when they are back.
  void Disconnect();
  void Reconnect();
  MemoryStore& store();

 private:
  class Core;
  std::shared_ptr<Core> core_;  // callbacks that wait in the reactor hold it weakly
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_MEMORY_H_
