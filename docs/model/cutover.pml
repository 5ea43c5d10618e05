/*
 * The cutover of a wave, as a model that Spin checks in every order of events.
 *
 * The inlines below are the steps of packages/engine/src/cutover-steps.ts, with "_" for "-"; a test holds their names to
 * the code. What is modelled: two stores; a coordinator that may stand still or die at any moment; its guard; a worker that
 * takes over; a power cut that loses what was not flushed; clients that write whenever they are let. What is not: time
 * (whether the budget is over is left to chance), lost and late messages (the simulation has those), rows beyond counts.
 *
 *   spin -a cutover.pml && gcc -O2 -DSAFETY -o pan pan.c && ./pan -m100000
 */
#define N 2

mtype = { undecided, committed, aborted };

/* The record: what is read, and what would be left of it after a power cut. */
mtype visible = undecided;
mtype durable = undecided;

bool source_open[N] = true;
bool target_open[N] = false;
bool held[N] = false;
bool points_to_target[N] = false;
bool decision_in_target[N] = false;
bool epoch_raised[N] = false;
bool return_marked[N] = false;
bool has_settled[N] = false;
byte source_rows[N] = 0;
byte target_rows[N] = 0;
/* Rows that the target had when the way back was marked. */
byte return_from[N] = 0;

bool coordinator_lives = true;
bool guard_lives = true;
bool guard_armed = false;
bool budget_over = false;
bool has_ended = false;
byte takeovers = 0;
byte power_cuts = 0;

/* Every invariant, asserted after every step that could break one. */
#define one_side(i)     !(source_open[i] && target_open[i])
#define route_open(i)   (held[i] || (points_to_target[i] -> target_open[i] : source_open[i]))
#define decided_first(i) (!target_open[i] || (durable == committed && decision_in_target[i]))
#define safe(i)         (one_side(i) && route_open(i) && decided_first(i))
#define all_or_nothing  (!(source_open[0] && target_open[1]) && !(source_open[1] && target_open[0]))
#define holds           assert(safe(0) && safe(1) && all_or_nothing)

/* Store by store, in the order of the code; others may act between the two. */
#define each(step)      step(0); step(1)

/* ---- before: writes go on, and nothing can break yet ---- */
inline prepare_return(i)  { skip; }
inline compare_live(i)    { skip; }
inline settle_ahead(i)    { skip; }

/* ---- pause ---- */
inline hold(i)            { d_step { held[i] = true; holds } }
inline fence(i)           { d_step { source_open[i] = false; holds } }
inline barrier(i)         { skip; }
inline drain(i)           { d_step { target_rows[i] = source_rows[i]; } }
inline stop_flow(i)       { skip; }
inline raise_epoch(i)     { d_step { epoch_raised[i] = true; } }
inline compare_changed(i) { d_step { assert(target_rows[i] == source_rows[i]); } }
inline settle(i)          { d_step { has_settled[i] = true; } }
inline mark_return(i)     { d_step { return_marked[i] = true; return_from[i] = target_rows[i]; } }

/* ---- decide: a compare-and-set that is visible before it is durable; who acts on it flushes it first ---- */
inline decide()           { atomic { if :: visible == undecided -> visible = committed :: else -> skip fi } }
inline abort()            { atomic { if :: visible == undecided -> visible = aborted :: else -> skip fi } }
inline flush_record()     { atomic { durable = visible; } }

/* ---- after ---- */
inline record_decision(i) { d_step { decision_in_target[i] = true; holds } }
inline unfence(i)         { d_step {
                              /* Nothing that was acknowledged is left behind, and the way back begins with the first write. */
                              assert(target_open[i] || (target_rows[i] == source_rows[i] && epoch_raised[i] && has_settled[i] &&
                                return_marked[i] && return_from[i] == target_rows[i]));
                              target_open[i] = true; holds } }
inline point(i)           { d_step { points_to_target[i] = true; holds } }
inline release(i)         { d_step { held[i] = false; holds } }
inline end_flow(i)        { skip; }

/* ---- abort ---- */
inline unfence_source(i)  { d_step { source_open[i] = true; holds } }
inline let_through(i)     { d_step { held[i] = false; holds } }
inline end_return(i)      { skip; }

/* What follows the record, by whomever: both ways are idempotent, and several may be on them at once. */
inline follow_record() {
  flush_record();
  if
  :: visible == committed ->
       each(record_decision); each(unfence); each(point); each(release);
       atomic { each(end_flow) }
  :: visible == aborted ->
       each(unfence_source); each(let_through);
       atomic { each(end_return) }
  fi
}

/* recoverCutover: undecided becomes aborted. */
inline recover() {
  abort();
  follow_record()
}

/* A step of the pause begins only while its process lives and the budget is not over; any of them may fail. */
#define goes_on         (coordinator_lives && !budget_over)
#define in_pause(step)  if :: atomic { goes_on -> step(0) } :: !goes_on -> goto give_up :: goto give_up fi; \
                        if :: atomic { goes_on -> step(1) } :: !goes_on -> goto give_up fi
/* Nobody else looks at what these change. */
#define together(step)  if :: atomic { goes_on -> step(0); step(1) } :: !goes_on -> goto give_up fi

proctype Coordinator() {
  {
    atomic { each(prepare_return); each(compare_live); each(settle_ahead); guard_armed = true };
    in_pause(hold);
    in_pause(fence);
    together(barrier);
    together(drain);
    together(stop_flow);
    together(raise_epoch);
    together(compare_changed);
    together(settle);
    together(mark_return);
    /* It has looked at the budget, and may stand still for as long as it likes before it decides. */
    decide();
    goto ends;
give_up:
    abort();
ends:
    follow_record();
    has_ended = true
  } unless { !coordinator_lives }
}

proctype Guard() {
  {
    if
    :: guard_armed && has_ended -> goto done
    :: guard_armed && !coordinator_lives -> skip
    :: guard_armed && budget_over ->
         /* From the decision on a living coordinator needs no help. */
         if
         :: visible != undecided -> (has_ended || !coordinator_lives)
         :: else -> skip
         fi
    :: !guard_armed && !coordinator_lives -> goto done
    fi;
    if :: has_ended -> goto done :: else fi;
    recover();
done:
    skip
  } unless { !guard_lives }
}

/* The next worker, as often as the one before is killed. Nothing was held where the guard was never armed. */
proctype Takeover() {
end_unneeded:
  !coordinator_lives;
again:
  { recover(); has_ended = true } unless { power_cuts > takeovers -> takeovers = power_cuts; goto again }
}

/* Writes one row to each store where its route leads, whenever it is let. */
inline write(i) {
  atomic {
    !held[i];
    if
    :: points_to_target[i] && target_open[i] -> target_rows[i]++
    :: !points_to_target[i] && source_open[i] -> source_rows[i]++
    fi
  }
}

proctype Client() {
  write(0);
  write(1)
}

/* What goes wrong, in any order and at any moment, or not at all. */
proctype Chaos() {
  do
  :: coordinator_lives -> coordinator_lives = false
  :: guard_lives -> guard_lives = false
  :: !budget_over -> budget_over = true
  :: power_cuts == 0 -> atomic { coordinator_lives = false; guard_lives = false; visible = durable; power_cuts++ }
  :: break
  od
}

init {
  atomic {
    run Coordinator(); run Guard(); run Takeover(); run Client(); run Chaos()
  }
  /* Whoever lives to the end has decided, opened one side and let the clients through. */
  (has_ended);
  assert(visible != undecided && durable == visible);
  assert(!held[0] && !held[1]);
  assert(visible == committed -> (target_open[0] && target_open[1]) : (source_open[0] && source_open[1]))
}
