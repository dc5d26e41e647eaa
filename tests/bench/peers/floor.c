/* The floor: what PostgreSQL and a client in C need for the very statement that the server sends.
 *
 *   floor DATABASE STATEMENT_FILE FIRST_VALUE CONTEXTS_FILE CONNECTIONS SECONDS
 *
 * Each connection sends the prepared statement again as soon as its answer is there. The first parameter is
 * FIRST_VALUE, the second one a line of CONTEXTS_FILE, in turn. One line of JSON is printed.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CONNECTIONS = 64, MOST_CONTEXTS = 64, SMALLEST_ANSWER = 1000 };

struct line {
    PGconn *connection;
    double sent_at;
};

static const char *values[2];
static const char *contexts[MOST_CONTEXTS];
static int contexts_known, contexts_sent;
static double *latencies;
static size_t calls, room;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static char *content(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail("cannot read", path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    if (text == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) fail("cannot read", path);
    fclose(file);
    return text;
}

static PGconn *opened(const char *database, const char *statement) {
    PGconn *connection = PQconnectdb(database);
    if (PQstatus(connection) != CONNECTION_OK) fail("cannot connect", PQerrorMessage(connection));
    PGresult *prepared = PQprepare(connection, "page", statement, 0, NULL);
    if (PQresultStatus(prepared) != PGRES_COMMAND_OK) fail("cannot prepare", PQerrorMessage(connection));
    PQclear(prepared);
    return connection;
}

static void ask(struct line *line) {
    values[1] = contexts[contexts_sent++ % contexts_known];
    line->sent_at = now_s();
    if (!PQsendQueryPrepared(line->connection, "page", 2, values, NULL, NULL, 0))
        fail("cannot send", PQerrorMessage(line->connection));
}

static void check(struct line *line, PGresult *answer) {
    if (PQresultStatus(answer) != PGRES_TUPLES_OK) fail("refused", PQerrorMessage(line->connection));
    int length = 0;
    for (int i = 0; PQntuples(answer) == 1 && i < PQnfields(answer); i++) length += PQgetlength(answer, 0, i);
    if (length < SMALLEST_ANSWER) fail("no rows", "the statement found nothing for its context");
    PQclear(answer);
}

static void keep(double latency) {
    if (calls == room) {
        room = room ? room * 2 : 65536;
        latencies = realloc(latencies, room * sizeof *latencies);
        if (latencies == NULL) fail("no memory", "for the latencies");
    }
    latencies[calls++] = latency;
}

/* Read what has arrived; true when the answer is complete. */
static int answered(struct line *line) {
    if (!PQconsumeInput(line->connection)) fail("lost", PQerrorMessage(line->connection));
    while (!PQisBusy(line->connection)) {
        PGresult *answer = PQgetResult(line->connection);
        if (answer == NULL) return 1;
        check(line, answer);
    }
    return 0;
}

static int in_order(const void *one, const void *other) {
    double first = *(const double *)one, second = *(const double *)other;
    return (first > second) - (first < second);
}

static double run(struct line *lines, int connections, double seconds) {
    struct pollfd ready[MOST_CONNECTIONS];
    for (int i = 0; i < connections; i++) {
        ready[i] = (struct pollfd){.fd = PQsocket(lines[i].connection), .events = POLLIN};
        ask(&lines[i]);
    }
    double began = now_s(), now = began;
    while ((now = now_s()) < began + seconds) {
        if (poll(ready, (nfds_t)connections, 1000) < 0) fail("poll", "failed");
        for (int i = 0; i < connections; i++) {
            if (ready[i].revents == 0 || !answered(&lines[i])) continue;
            keep(now_s() - lines[i].sent_at);
            ask(&lines[i]);
        }
    }
    return now - began;
}

int main(int count, char **words) {
    if (count != 7) fail("usage", "floor DATABASE STATEMENT_FILE FIRST_VALUE CONTEXTS_FILE CONNECTIONS SECONDS");
    int connections = atoi(words[5]);
    if (connections < 1 || connections > MOST_CONNECTIONS) fail("usage", "too many connections, or none");
    char *statement = content(words[2]);
    values[0] = words[3];
    for (char *one = strtok(content(words[4]), "\n"); one && contexts_known < MOST_CONTEXTS; one = strtok(NULL, "\n"))
        contexts[contexts_known++] = one;
    if (contexts_known == 0) fail("usage", "CONTEXTS_FILE is empty");
    struct line lines[MOST_CONNECTIONS];
    for (int i = 0; i < connections; i++) lines[i].connection = opened(words[1], statement);
    double elapsed = run(lines, connections, atof(words[6]));
    if (calls == 0) fail("no answer", "within the time");
    qsort(latencies, calls, sizeof *latencies, in_order);
    printf("{\"all_calls\": %zu, \"calls_per_s\": %.3f, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", calls,
           (double)calls / elapsed, latencies[calls / 2] * 1e3, latencies[calls * 99 / 100] * 1e3);
    return 0;
}
