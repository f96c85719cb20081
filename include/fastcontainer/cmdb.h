// The port to the configuration management database, the only shared truth. Drivers: lib/cmdb/memory.cc,
// lib/cmdb/sqlite.cc, shared objects (fastcontainer/cmdb_plugin.h), and the user's own through the C vtable.
#ifndef FASTCONTAINER_CMDB_H_
#define FASTCONTAINER_CMDB_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

// One key and value. `revision` is the store's revision of the last change to this key; 0 means the key is
// absent.
struct Record {
  std::string key;
  std::string value;
  uint64_t revision = 0;
};

enum class ReadMode : uint8_t { kLinearizable, kStaleOk };

// True if the key's revision is this one; 0 compares with "absent".
struct Compare {
  std::string key;
  uint64_t revision = 0;
};

struct Mutation {
  enum class Kind : uint8_t { kPut, kDelete } kind = Kind::kPut;
  std::string key;
  std::string value;
  // kPut: the key is deleted when this lease ends. 0, or another lease than before: it leaves the one it had.
  uint64_t lease = 0;
};

// What keys are put under that shall go when nobody keeps them: a heartbeat, a suspicion.
struct CmdbLease {
  uint64_t id = 0;
  Nanos ttl = 0;  // from the moment at which the store granted or kept it
};

enum class TxnOutcome : uint8_t {
  kOk,           // all applied at `revision`
  kConflict,     // nothing applied; `current` has each compared key as it is, in the order of the compares
  kUnknown,      // it may or may not have been applied: read linearizably to learn which
  kUnavailable,  // certainly not applied
  kLeaseEnded,   // the compares hold, but a put names a lease that has ended or never was: nothing applied
};

struct TxnResult {
  TxnOutcome outcome = TxnOutcome::kUnavailable;
  uint64_t revision = 0;
  std::vector<Record> current;
  std::string error;  // for kUnknown, kUnavailable and kLeaseEnded
};

struct ListPage {
  uint64_t revision =
      0;  // of the store when the first page was read; all pages of one listing show this state
  std::vector<Record> records;  // ascending by key
  std::string next;             // pass as `after` for the next page; empty at the end
};

struct WatchEvent {
  enum class Kind : uint8_t {
    kPut,           // record.key, .value, .revision
    kDelete,        // record.key, .revision
    kProgress,      // everything up to `revision` has been delivered
    kResync,        // events were lost (compaction): list again and watch from there
    kDisconnected,  // nothing comes until kConnected; what was delivered stays good
    kConnected,
  } kind = Kind::kProgress;
  Record record;
  uint64_t revision = 0;
};

// Belongs to the loop's thread. Every operation completes exactly once, by its callback, which runs on the
// loop and never inside the call; or it is cancelled, and then never. Nothing blocks.
class Cmdb {
 public:
  using OpId = uint64_t;                                                 // 0 names no operation
  using GetCallback = absl::AnyInvocable<void(absl::StatusOr<Record>)>;  // absent: OK with revision 0
  using ListCallback = absl::AnyInvocable<void(absl::StatusOr<ListPage>)>;
  using TxnCallback = absl::AnyInvocable<void(TxnResult)>;
  using WatchCallback = absl::AnyInvocable<void(const WatchEvent&)>;
  using LeaseCallback = absl::AnyInvocable<void(absl::StatusOr<CmdbLease>)>;

  virtual ~Cmdb() = default;

  virtual OpId Get(std::string_view key, ReadMode mode, GetCallback callback) = 0;
  // All keys that start with `prefix`, at most `limit` (0: the driver's choice) a page, after the key
  // `after`, as of `at_revision` (0: now). A page of a revision that is gone: absl::StatusCode::kOutOfRange.
  virtual OpId List(std::string_view prefix, std::string_view after, uint64_t at_revision, uint32_t limit,
                    ListCallback callback) = 0;
  // Applies `mutations` at one revision if all `compares` hold. `deadline` is absolute; when it passes before
  // the store answered the outcome is kUnknown. 0: the driver's default.
  virtual OpId Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                   TxnCallback callback) = 0;
  // Delivers every change of a key that starts with `prefix` and has a revision > `after_revision`, in order
  // of revision, until cancelled. The callback may run many times.
  virtual OpId Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) = 0;
  // Makes a lease that ends `ttl` from now unless it is kept. The store may round the ttl up, to whole
  // seconds or to its minimum, and tells what it is. An end deletes all keys of the lease at one revision,
  // which watches see as kDelete; it comes at the ttl or a little after, never before. A lease belongs to the
  // store, not to this handle. Errors of all three: Unavailable (no answer, within the driver's own time
  // limit: it may or may not have been done, and may be asked again; a lease that was granted unheard ends by
  // itself), Unimplemented (a store without leases), InvalidArgument (a ttl that is not positive).
  virtual OpId GrantLease(Nanos ttl, LeaseCallback callback) = 0;
  // Its end is its ttl from now. NotFound: it has ended.
  virtual OpId KeepLease(uint64_t lease, LeaseCallback callback) = 0;
  // Ends it now; its keys are gone when the callback runs, with ttl 0. NotFound: it had ended.
  virtual OpId RevokeLease(uint64_t lease, LeaseCallback callback) = 0;
  // True: the callback will never run (again). A transaction that was submitted may still be applied, and so
  // may what was asked about a lease.
  virtual bool Cancel(OpId id) = 0;
};

// Opens `memory:` (this process only; the same name, as in `memory:test`, is the same store),
// `sqlite:/absolute/path`, or what a driver in a shared object of its own opens
// (fastcontainer/cmdb_plugin.h): `etcd://HOST:PORT[,HOST:PORT]`, `postgresql://...`. Errors: InvalidArgument
// (the scheme or path, what is accepted, and where a driver was looked for), Unavailable or DataLoss (cannot
// be opened, is corrupt; the file is never changed then; the driver cannot be loaded).
absl::StatusOr<std::unique_ptr<Cmdb>> OpenCmdb(std::string_view url, Reactor& reactor);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_CMDB_H_
