#if FASTCONTAINER_HAVE_SQLITE

#include "lib/cmdb/sqlite.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "lib/cmdb/sqlite_worker.h"
#include "tests/unit/cmdb/cmdb_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Role = SqliteDatabase::Role;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

void RunSql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  sqlite3_close(db);
}

// Runs `body` in a process of its own and returns its exit status, -1 if a signal ended it.
template <typename Body>
int InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SqliteTest : public ::testing::Test {
 protected:
  std::unique_ptr<Cmdb> Open(uint64_t history = SqliteDatabase::kDefaultHistory) {
    absl::StatusOr<std::unique_ptr<Cmdb>> cmdb = SqliteCmdb::Open(path_, *reactor_, history);
    EXPECT_TRUE(cmdb.ok()) << cmdb.status();
    return cmdb.ok() ? *std::move(cmdb) : nullptr;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("cmdb.sqlite");
  std::unique_ptr<EpollReactor> reactor_ = EpollReactor::Create().value();
};

TEST_F(SqliteTest, ContentsOutliveTheHandle) {
  TxnNow(*reactor_, *Open(), {}, {Put("/a", "1")});
  const std::unique_ptr<Cmdb> again = Open();
  EXPECT_EQ(GetNow(*reactor_, *again, "/a")->value, "1");
  EXPECT_EQ(TxnNow(*reactor_, *again, {}, {Put("/a", "2")}).revision, 2u);
}

TEST_F(SqliteTest, ACorruptFileIsRefusedAndNotChanged) {
  WriteFile(path_, std::string(5'000, 'x'));
  const std::string before = ReadFile(path_);
  EXPECT_EQ(SqliteCmdb::Open(path_, *reactor_).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadFile(path_), before);
}

TEST_F(SqliteTest, AFileWithADamagedPageIsRefusedAndNotChanged) {
  {
    const std::unique_ptr<Cmdb> cmdb = Open();
    std::vector<Mutation> many;
    for (int i = 0; i < 500; ++i) many.push_back(Put("/p/" + std::to_string(i), std::string(200, 'v')));
    TxnNow(*reactor_, *cmdb, {}, many);
  }
  std::string bytes = ReadFile(path_);
  ASSERT_GT(bytes.size(), 40'000u);
  for (size_t page = 4; page < 8; ++page) bytes.replace(page * 4'096, 64, std::string(64, '\x5a'));
  WriteFile(path_, bytes);
  const absl::Status status = SqliteCmdb::Open(path_, *reactor_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(ReadFile(path_), bytes);
}

TEST_F(SqliteTest, ATruncatedFileIsRefused) {
  TxnNow(*reactor_, *Open(), {}, {Put("/a", "1")});
  const std::string bytes = ReadFile(path_);
  WriteFile(path_, bytes.substr(0, 4'096));
  EXPECT_FALSE(SqliteCmdb::Open(path_, *reactor_).ok());
  WriteFile(path_, bytes.substr(0, 50));
  EXPECT_EQ(SqliteCmdb::Open(path_, *reactor_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteTest, ADatabaseOfSomethingElseIsRefusedAndNotChanged) {
  RunSql(path_, "CREATE TABLE customers (name TEXT); INSERT INTO customers VALUES ('x')");
  const std::string before = ReadFile(path_);
  const absl::Status status = SqliteCmdb::Open(path_, *reactor_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("database of something else"));
  EXPECT_EQ(ReadFile(path_), before);
}

TEST_F(SqliteTest, ALaterSchemaIsRefused) {
  Open();
  RunSql(path_, "PRAGMA user_version=3");
  const absl::Status status = SqliteCmdb::Open(path_, *reactor_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("schema version 3; this library knows 1 to 2"));
}

TEST_F(SqliteTest, EveryErrorAtOpeningNamesTheFile) {
  WriteFile(path_, "this is no database, and longer than a header of one: " + std::string(4'096, 'x'));
  const std::string other = folder_.File("other.sqlite");
  RunSql(other, "CREATE TABLE customers (name TEXT)");
  for (const std::string& path : {path_, other, folder_.File("none/cmdb.sqlite"), folder_.path()})
    EXPECT_THAT(std::string(SqliteCmdb::Open(path, *reactor_).status().message()), HasSubstr(path));
}

TEST_F(SqliteTest, AnEmptyFileIsFilled) {
  WriteFile(path_, "");
  EXPECT_NE(Open(), nullptr);
}

TEST_F(SqliteTest, AFolderThatIsMissingIsUnavailable) {
  EXPECT_EQ(SqliteCmdb::Open(folder_.File("none/cmdb.sqlite"), *reactor_).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(SqliteCmdb::Open(folder_.path(), *reactor_).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SqliteTest, AReadOnlyFolderIsUnavailable) {
  Open();
  ASSERT_EQ(chmod(path_.c_str(), 0444), 0);
  ASSERT_EQ(chmod(folder_.path().c_str(), 0555), 0);
  const int code = InChild([this] {
    if (geteuid() == 0 && (setgid(65'534) != 0 || setuid(65'534) != 0)) return 77;
    return absl::IsUnavailable(SqliteDatabase::Open(path_, Role::kWriter).status()) &&
                   absl::IsUnavailable(SqliteDatabase::Open(folder_.File("new"), Role::kWriter).status())
               ? 0
               : 1;
  });
  chmod(folder_.path().c_str(), 0755);
  if (code == 77) GTEST_SKIP() << "cannot become an ordinary user";
  EXPECT_EQ(code, 0);
}

TEST_F(SqliteTest, HistoryIsBoundedAndWhoIsBehindMustResync) {
  const std::unique_ptr<Cmdb> cmdb = Open(8);
  for (int i = 0; i < 40; ++i) TxnNow(*reactor_, *cmdb, {}, {Put("/p/a", std::to_string(i))});
  EventLog behind;
  EventLog current;
  cmdb->Watch("/p/", 3, behind.Callback());
  cmdb->Watch("/p/", 39, current.Callback());
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return behind.size() > 0 && current.size() > 0; }));
  EXPECT_THAT(behind.lines(), ElementsAre("resync"));
  EXPECT_THAT(current.lines(), ElementsAre("+/p/a=39@40"));
  EXPECT_EQ(ListNow(*reactor_, *cmdb, "/p/", "", 3).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ListNow(*reactor_, *cmdb, "/p/", "", 36)->records[0].value, "35");
}

TEST_F(SqliteTest, ATransactionThatNeverBeganIsNeverApplied) {
  const std::unique_ptr<Cmdb> cmdb = Open();
  sqlite3* blocker = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &blocker), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(blocker, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  std::vector<TxnResult> results;
  const auto keep = [&](TxnResult result) { results.push_back(std::move(result)); };
  // The first one waits for the lock on the worker, the second one behind it.
  cmdb->Txn({}, {Put("/first", "1")}, reactor_->Now() + 100 * kMillisecond, keep);
  cmdb->Txn({}, {Put("/second", "1")}, reactor_->Now() + 50 * kMillisecond, keep);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return results.size() == 2; }));
  EXPECT_EQ(results[0].outcome, TxnOutcome::kUnavailable) << results[0].error;
  EXPECT_NE(results[1].outcome, TxnOutcome::kOk);
  // Reads go on beside a writer.
  EXPECT_EQ(GetNow(*reactor_, *cmdb, "/first")->revision, 0u);
  ASSERT_EQ(sqlite3_exec(blocker, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(blocker);
  EXPECT_EQ(TxnNow(*reactor_, *cmdb, {}, {Put("/third", "1")}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(GetNow(*reactor_, *cmdb, "/second")->revision, 0u);
}

TEST_F(SqliteTest, ALockedFileDelaysAReadAndDoesNotBlockTheLoop) {
  const std::unique_ptr<Cmdb> cmdb = Open();
  TxnNow(*reactor_, *cmdb, {}, {Put("/a", "1")});
  // What a process does that recovers the log: the header in the shared memory is not valid, and the locks of
  // the writer (byte 120) and of the recovery (byte 122) are held. See "WAL-mode File Format", section 2.
  const std::string shared = path_ + "-shm";
  int ready[2];
  ASSERT_EQ(pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(shared.c_str(), O_RDWR);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 120;
    lock.l_len = 3;
    const char nothing[96] = {};
    const bool held = fcntl(fd, F_SETLK, &lock) == 0 && pwrite(fd, nothing, sizeof(nothing), 0) > 0;
    const char answer = held ? 'y' : 'n';
    if (write(ready[1], &answer, 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char answer = 0;
  ASSERT_EQ(read(ready[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  std::optional<absl::StatusOr<Record>> record;
  cmdb->Get("/a", ReadMode::kLinearizable, [&](absl::StatusOr<Record> r) { record = std::move(r); });
  bool turned = false;
  reactor_->After(20 * kMillisecond, [&] { turned = true; });
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return turned; }));
  EXPECT_FALSE(record.has_value());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return record.has_value(); }));
  ASSERT_TRUE(record->ok()) << record->status();
  EXPECT_EQ((*record)->value, "1");
}

TEST_F(SqliteTest, TwoLoopsOnTwoThreadsSeeEachOthersChangesInOrder) {
  constexpr int kWrites = 60;
  Open();
  std::vector<std::string> lines[2];
  const auto run = [this, &lines](int me) {
    const std::unique_ptr<EpollReactor> reactor = EpollReactor::Create().value();
    const std::unique_ptr<Cmdb> cmdb = SqliteCmdb::Open(path_, *reactor).value();
    EventLog log;
    cmdb->Watch("/p/", 0, log.Callback());
    for (int i = 0; i < kWrites; ++i)
      TxnNow(*reactor, *cmdb, {}, {Put("/p/" + std::to_string(me), std::to_string(i))});
    EXPECT_TRUE(RunLoop(*reactor, [&] { return log.size() == 2 * kWrites; }));
    lines[me] = log.lines();
  };
  std::thread other(run, 1);
  run(0);
  other.join();
  EXPECT_EQ(lines[0], lines[1]);
  for (size_t i = 0; i < lines[0].size(); ++i)
    EXPECT_THAT(lines[0][i], testing::EndsWith("@" + std::to_string(i + 1)));
}

TEST_F(SqliteTest, AKilledWriterLosesNothingThatWasAcknowledged) {
  const std::unique_ptr<Cmdb> watcher = Open();
  EventLog log;
  watcher->Watch("/n/", 0, log.Callback());
  for (int round = 0; round < 3; ++round) {
    int acknowledged[2];
    ASSERT_EQ(pipe(acknowledged), 0);
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      // Straight on the database: a forked process must not use its parent's loop.
      auto database = SqliteDatabase::Open(path_, Role::kWriter);
      if (!database.ok()) _exit(1);
      for (uint32_t i = 0;; ++i) {
        const std::string key = "/n/" + std::to_string(round) + "/" + std::to_string(i);
        if ((*database)->Apply({}, {Put(key, "x"), Put(key + "b", "x")}).outcome != TxnOutcome::kOk) continue;
        if (write(acknowledged[1], &i, sizeof(i)) != sizeof(i)) _exit(1);
      }
    }
    close(acknowledged[1]);
    uint32_t last = 0;
    while (last < 20)
      ASSERT_EQ(read(acknowledged[0], &last, sizeof(last)), static_cast<ssize_t>(sizeof(last)));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    while (read(acknowledged[0], &last, sizeof(last)) == static_cast<ssize_t>(sizeof(last))) {
    }
    close(acknowledged[0]);
    const std::string prefix = "/n/" + std::to_string(round) + "/";
    const size_t kept = ListNow(*reactor_, *watcher, prefix)->records.size();
    EXPECT_GE(kept, 2 * (last + 1));
    EXPECT_EQ(kept % 2, 0u) << "half a transaction";
  }
  const ListPage all = ListNow(*reactor_, *watcher, "/n/", "", 0, 100'000).value();
  EXPECT_TRUE(RunLoop(*reactor_, [&] { return log.size() == all.records.size(); }));
  EXPECT_EQ(TxnNow(*reactor_, *watcher, {}, {Put("/z", "1")}).outcome, TxnOutcome::kOk);
}

// In a child with its own mounts or limits: fills the file until a transaction fails, and checks that exactly
// those that were answered kOk are there.
int FillUntilRefused(const std::string& path) {
  auto database = SqliteDatabase::Open(path, Role::kWriter);
  if (!database.ok()) return 2;
  int applied = 0;
  TxnResult result;
  for (; applied < 2'000; ++applied) {
    result = (*database)->Apply({}, {Put("/fill/" + std::to_string(applied), std::string(8'000, 'x'))});
    if (result.outcome != TxnOutcome::kOk) break;
  }
  if (result.outcome != TxnOutcome::kUnavailable || result.error.empty()) return 3;
  auto reader = SqliteDatabase::Open(path, Role::kReader);
  if (!reader.ok()) return 4;
  const absl::StatusOr<ListPage> page = (*reader)->List("/fill/", "", 0, 10'000);
  if (!page.ok() || page->records.size() != static_cast<size_t>(applied)) return 5;
  return 0;
}

TEST_F(SqliteTest, AFullDiskIsUnavailableAndNothingIsApplied) {
  const std::string mount_point = folder_.path();
  const int code = InChild([&] {
    // A mount namespace of its own: the mount ends with the process.
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=1m") != 0)
      return 77;
    return FillUntilRefused(mount_point + "/cmdb.sqlite");
  });
  if (code == 77) GTEST_SKIP() << "cannot mount a tmpfs";
  EXPECT_EQ(code, 0);
}

TEST_F(SqliteTest, AFileSizeLimitIsUnavailableAndNothingIsApplied) {
  const int code = InChild([this] {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{1'000'000, 1'000'000};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 77;
    return FillUntilRefused(path_);
  });
  if (code == 77) GTEST_SKIP() << "cannot set the limit";
  EXPECT_EQ(code, 0);
}

TEST_F(SqliteTest, AFileThatWasReplacedIsNotWrittenToAnyMore) {
  const std::unique_ptr<Cmdb> cmdb = Open();
  EventLog log;
  cmdb->Watch("/", 0, log.Callback());
  ASSERT_EQ(rename(path_.c_str(), folder_.File("moved").c_str()), 0);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return log.size() > 0; }));
  EXPECT_THAT(log.lines(), ElementsAre("disconnected"));
  const TxnResult result = TxnNow(*reactor_, *cmdb, {}, {Put("/a", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(result.error, HasSubstr("replaced"));
  EXPECT_EQ(GetNow(*reactor_, *cmdb, "/a").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SqliteTest, EveryDescriptorIsCloseOnExec) {
  const std::unique_ptr<Cmdb> cmdb = Open();
  cmdb->Watch("/", 0, [](const WatchEvent&) {});
  TxnNow(*reactor_, *cmdb, {}, {Put("/a", "1")});
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (target.find("cmdb.sqlite") == std::string::npos && target.find("inotify") == std::string::npos)
      continue;
    ++seen;
    EXPECT_NE(fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC, 0) << target;
  }
  EXPECT_GE(seen, 3);
}

TEST_F(SqliteTest, OpeningANewFileIsARaceThatAllWin) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([this] {
      const std::unique_ptr<EpollReactor> reactor = EpollReactor::Create().value();
      const absl::StatusOr<std::unique_ptr<Cmdb>> cmdb = SqliteCmdb::Open(path_, *reactor);
      EXPECT_TRUE(cmdb.ok()) << cmdb.status();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SqliteWorker, AWithdrawnJobNeverRuns) {
  const TemporaryFolder folder;
  SqliteWorker worker(SqliteDatabase::Open(folder.File("x"), Role::kWriter).value());
  std::mutex gate;
  std::unique_lock<std::mutex> closed(gate);
  std::atomic<bool> first_runs = false;
  std::atomic<bool> second_ran = false;
  std::atomic<bool> third_ran = false;
  const SqliteWorker::JobId first = worker.Submit([&](SqliteDatabase&) {
    first_runs = true;
    first_runs.notify_all();
    const std::lock_guard<std::mutex> pass(gate);
  });
  const SqliteWorker::JobId second = worker.Submit([&](SqliteDatabase&) { second_ran = true; });
  worker.Submit([&](SqliteDatabase&) {
    third_ran = true;
    third_ran.notify_all();
  });
  first_runs.wait(false);
  EXPECT_EQ(worker.Withdraw(first), SqliteWorker::Withdrawn::kRuns);
  EXPECT_EQ(worker.Withdraw(second), SqliteWorker::Withdrawn::kNeverRuns);
  closed.unlock();
  third_ran.wait(false);
  EXPECT_EQ(worker.Withdraw(first), SqliteWorker::Withdrawn::kHasRun);
  EXPECT_FALSE(second_ran);
}

}  // namespace
}  // namespace fastcontainer

#endif  // FASTCONTAINER_HAVE_SQLITE
