// The fixture of the conformance suite. A new store adds its CmdbBackend in a header of its own to
// AllBackends().
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_CONFORMANCE_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_CONFORMANCE_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/cmdb/backends_etcd.h"
#include "tests/unit/cmdb/backends_local.h"
#include "tests/unit/cmdb/backends_postgresql.h"
#include "tests/unit/cmdb/cmdb_fixture.h"
#include "tests/unit/cmdb/prefixed_cmdb.h"

namespace fastcontainer {

inline std::vector<std::unique_ptr<CmdbBackend>> AllBackends() {
  std::vector<std::unique_ptr<CmdbBackend>> backends;
  backends.push_back(std::make_unique<MemoryBackend>());
#if FASTCONTAINER_HAVE_SQLITE
  backends.push_back(std::make_unique<SqliteBackend>());
#endif
  backends.push_back(std::make_unique<EtcdBackend>());
#if FASTCONTAINER_TEST_POSTGRESQL
  backends.push_back(std::make_unique<PostgresBackend>());
#endif
  return backends;
}

// The servers run from the first test of their store to the end of the program.
class Backends {
 public:
  static Backends& Get() {
    static Backends backends;
    return backends;
  }
  CmdbBackend& Find(const std::string& name) { return *entries_.at(name).backend; }
  const absl::Status& Start(const std::string& name) {
    Entry& entry = entries_.at(name);
    if (!entry.started.has_value()) entry.started = entry.backend->Start();
    return *entry.started;
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entries_) names.push_back(name);
    return names;
  }

 private:
  struct Entry {
    std::unique_ptr<CmdbBackend> backend;
    std::optional<absl::Status> started;
  };
  Backends() {
    for (std::unique_ptr<CmdbBackend>& backend : AllBackends()) {
      const std::string name = backend->name();
      entries_[name].backend = std::move(backend);
    }
  }
  std::map<std::string, Entry> entries_;
};

// Revisions of a store that others have used before are told as the how-manyth change of the test it was.
class CmdbConformance : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    reactor_ = EpollReactor::Create().value();
    const absl::Status& started = Backends::Get().Start(GetParam());
    if (absl::IsNotFound(started)) GTEST_SKIP() << GetParam() << " cannot run here: " << started.message();
    ASSERT_TRUE(started.ok()) << started;
    backend_ = &Backends::Get().Find(GetParam());
    place_ = backend_->Fresh();
    cmdb_ = Open();
    ASSERT_NE(cmdb_, nullptr);
    const absl::StatusOr<ListPage> before = List("");
    ASSERT_TRUE(before.ok()) << before.status();
    ASSERT_TRUE(before->records.empty());
    base_ = before->revision;
  }

  // Another handle on the same place.
  std::unique_ptr<Cmdb> Open() {
    absl::StatusOr<std::unique_ptr<Cmdb>> opened = OpenCmdb(place_.url, *reactor_);
    EXPECT_TRUE(opened.ok()) << opened.status();
    if (!opened.ok()) return nullptr;
    return std::make_unique<PrefixedCmdb>(*std::move(opened), place_.prefix);
  }
  absl::StatusOr<Record> Get(std::string_view key) { return GetNow(*reactor_, *cmdb_, key); }
  absl::StatusOr<ListPage> List(std::string_view prefix, std::string_view after = "", uint64_t revision = 0,
                                uint32_t limit = 0) {
    return ListNow(*reactor_, *cmdb_, prefix, after, revision, limit);
  }
  TxnResult Txn(std::vector<Compare> compares, std::vector<Mutation> mutations) {
    return TxnNow(*reactor_, *cmdb_, std::move(compares), std::move(mutations));
  }
  // An answer about a lease; `ask` submits the question with the callback that it is given.
  template <typename Ask>
  absl::StatusOr<CmdbLease> Lease(Ask ask) {
    std::optional<absl::StatusOr<CmdbLease>> result;
    ask([&](absl::StatusOr<CmdbLease> lease) { result = std::move(lease); });
    if (!Await([&] { return result.has_value(); })) return absl::DeadlineExceededError("no answer");
    return *std::move(result);
  }
  absl::StatusOr<CmdbLease> Grant(Nanos ttl) {
    return Lease([&](Cmdb::LeaseCallback done) { cmdb_->GrantLease(ttl, std::move(done)); });
  }
  absl::StatusOr<CmdbLease> Keep(uint64_t lease) {
    return Lease([&](Cmdb::LeaseCallback done) { cmdb_->KeepLease(lease, std::move(done)); });
  }
  absl::StatusOr<CmdbLease> Revoke(uint64_t lease) {
    return Lease([&](Cmdb::LeaseCallback done) { cmdb_->RevokeLease(lease, std::move(done)); });
  }
  static Mutation PutUnder(uint64_t lease, std::string_view key, std::string_view value) {
    return {Mutation::Kind::kPut, std::string(key), std::string(value), lease};
  }
  template <typename Predicate>
  bool Await(Predicate done) {
    return RunLoop(*reactor_, done);
  }
  std::vector<std::string> Lines(const ListPage& page) const {
    std::vector<std::string> lines;
    for (const Record& r : page.records)
      lines.push_back(r.key + "=" + r.value + "@" + std::to_string(r.revision - base_));
    return lines;
  }
  EventLog NewLog() const { return EventLog(base_); }

  CmdbBackend* backend_ = nullptr;
  CmdbBackend::Place place_;
  std::unique_ptr<EpollReactor> reactor_;
  std::unique_ptr<Cmdb> cmdb_;
  uint64_t base_ = 0;  // the store's revision when the test began
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_CONFORMANCE_FIXTURE_H_
