use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// What the actions have made of the world around the machine.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are looked at one by one")]
struct World {
    session: bool,
    lane_open: bool,
    paused: bool,
    draining: bool,
    waiting: bool,
    /// Somebody may have begun a track that nobody has ended.
    tracks: bool,
}

impl World {
    fn carry_out(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Open { .. } => {
                    assert!(!self.session && !self.lane_open, "two sessions at once: {actions:?}");
                    (self.session, self.lane_open, self.waiting) = (true, true, false);
                }
                Action::Pause(paused) => self.paused = *paused,
                Action::Cancel => self.session = false,
                Action::Drain => self.draining = true,
                Action::Close => (self.lane_open, self.draining, self.tracks) = (false, false, false),
                Action::BackOff(_) => self.waiting = true,
                Action::WaitForRoom => {
                    // The session was never begun.
                    (self.session, self.lane_open, self.waiting) = (false, false, true);
                    self.tracks = false;
                }
                Action::Finish => self.tracks = false,
                Action::Report(_) => {}
            }
        }
        self.tracks |= self.publishes();
    }

    /// What is taken from an open lane is published.
    fn publishes(&self) -> bool {
        self.lane_open && !self.paused
    }
}

#[derive(Debug)]
struct Life {
    machine: Machine,
    world: World,
}

impl Life {
    fn new() -> Self {
        Self { machine: Machine::new(), world: World::default() }
    }

    /// One step, and the laws that hold after every one.
    fn step(&mut self, input: Input) {
        let (gone, panic) = (self.machine.is_gone(), matches!(&input, Input::Failed(failure) if failure.is_panic()));
        let actions = self.machine.on(input);
        self.world.carry_out(&actions);
        if gone {
            assert!(actions.is_empty(), "nothing is done after the end: {actions:?}");
        } else if panic {
            // Of what it was about to do nobody knows how far it came: no phase may go on waiting for that.
            assert!(!matches!(self.machine.phase, Phase::Open { .. } | Phase::Draining { .. }), "{self:?}");
            assert!(actions.iter().any(|action| matches!(action, Action::Report(_))), "a panic is told: {actions:?}");
        }
        let (desired, actual, world) = (self.machine.desired().state, self.machine.actual(), &self.world);
        if desired == DesiredState::Stopped || self.machine.is_gone() {
            assert!(!world.session && !world.lane_open, "stopped, and still open: {self:?}");
            assert_eq!(actual, ActualState::Stopped, "{self:?}");
            assert_eq!(self.machine.reason(), None, "{self:?}");
        }
        assert!(!world.publishes() || desired == DesiredState::Running, "it publishes: {self:?}");
        assert!(!world.tracks || desired == DesiredState::Running, "its tracks go on: {self:?}");
        assert!(actual != ActualState::Running || desired == DesiredState::Running, "{self:?}");
        assert!(actual != ActualState::Paused || desired == DesiredState::Paused, "{self:?}");
        assert_eq!(actual == ActualState::Failed, self.machine.failure.is_some(), "a failure has a reason: {self:?}");
        match &self.machine.phase {
            Phase::Idle(_) | Phase::Gone => assert!(!world.session && !world.lane_open, "{self:?}"),
            Phase::Waiting => assert!(world.waiting && !world.lane_open, "nobody wakes it: {self:?}"),
            Phase::Open { .. } => assert!(world.session && world.lane_open, "{self:?}"),
            Phase::Draining { .. } => assert!(world.draining && world.lane_open && !world.session, "{self:?}"),
        }
    }

    /// Commands of which the machine sees the outcome only: the desired state is a level.
    fn wish(&mut self, commands: &[Command]) {
        let mut desired = self.machine.desired();
        for command in commands {
            command.onto(&mut desired);
            desired.generation += 1;
        }
        self.step(Input::Wish(desired));
    }

    /// The world does what it is bound to do, with a source that works, until nothing is due any more.
    fn settle(&mut self) {
        for _ in 0..10 {
            match &self.machine.phase {
                Phase::Waiting => self.step(Input::Due),
                Phase::Open { streaming: false } => self.step(Input::Streaming),
                Phase::Draining { .. } => self.step(Input::Drained),
                Phase::Idle(_) | Phase::Open { streaming: true } | Phase::Gone => return,
            }
        }
        panic!("it never settles: {self:?}");
    }
}

fn failure(retry: bool) -> Failure {
    Failure { code: "source_unreachable", message: "no".into(), retry, least_delay: Duration::ZERO }
}

#[derive(Debug, Clone, Copy)]
enum Command {
    Start,
    Stop,
    Pause,
    Resume,
    Restart,
}

impl Command {
    const ALL: [Self; 5] = [Self::Start, Self::Stop, Self::Pause, Self::Resume, Self::Restart];

    fn onto(self, desired: &mut Desired) {
        let stopped = desired.state == DesiredState::Stopped;
        match self {
            Self::Start => (desired.state, desired.begins) = (DesiredState::Running, desired.begins + 1),
            Self::Stop => desired.state = DesiredState::Stopped,
            // As the control room has it: what is stopped is neither paused, nor resumed, nor restarted.
            Self::Pause if !stopped => desired.state = DesiredState::Paused,
            Self::Resume if !stopped => desired.state = DesiredState::Running,
            Self::Restart if !stopped => desired.restarts += 1,
            _ => {}
        }
    }
}

/// What may happen.
#[derive(Debug, Clone)]
enum Happening {
    Commands(Vec<Command>),
    Event(Input),
}

impl Happening {
    fn to(self, life: &mut Life) {
        match self {
            Self::Commands(commands) => life.wish(&commands),
            Self::Event(input) => life.step(input),
        }
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let command = || prop::sample::select(Command::ALL.to_vec());
    let event = prop::sample::select(vec![
        Input::Streaming,
        Input::Picture(Some(Condition::Frozen)),
        Input::Picture(None),
        Input::Ended,
        Input::Failed(failure(true)),
        Input::Failed(failure(false)),
        Input::Failed(Failure::panic("a test", &"oh" as &(dyn std::any::Any + Send))),
        Input::Crowded(None),
        Input::Crowded(Some(failure(true))),
        Input::Drained,
        Input::Due,
    ]);
    prop_oneof![
        4 => command().prop_map(|command| Happening::Commands(vec![command])),
        1 => prop::collection::vec(command(), 2..5).prop_map(Happening::Commands),
        6 => event.prop_map(Happening::Event),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_happened_the_camera_comes_to_what_is_wanted(happenings in prop::collection::vec(happening(), 0..40)) {
        let mut life = Life::new();
        for happening in happenings {
            happening.to(&mut life);
        }
        life.settle();
        let (desired, actual) = (life.machine.desired().state, life.machine.actual());
        let agrees = match desired {
            DesiredState::Stopped => actual == ActualState::Stopped,
            DesiredState::Running => actual == ActualState::Running,
            DesiredState::Paused => actual == ActualState::Paused,
        };
        // It has ended, or failed for good, and says so; a start brings it back.
        let over = matches!(actual, ActualState::Ended | ActualState::Failed) && desired != DesiredState::Stopped;
        prop_assert!(agrees || over, "{life:?}");
        life.wish(&[Command::Start]);
        life.settle();
        prop_assert_eq!(life.machine.actual(), ActualState::Running);
    }

    #[test]
    fn a_stop_wins_at_once_and_a_start_after_it_holds(happenings in prop::collection::vec(happening(), 0..40)) {
        let mut life = Life::new();
        for happening in happenings {
            happening.to(&mut life);
        }
        life.wish(&[Command::Stop]);
        prop_assert_eq!(life.machine.actual(), ActualState::Stopped);
        // Late words of the session that is over change nothing.
        for late in [Input::Streaming, Input::Ended, Input::Failed(failure(true)), Input::Drained, Input::Due] {
            life.step(late);
            prop_assert_eq!(life.machine.actual(), ActualState::Stopped);
        }
    }

    #[test]
    fn the_end_of_the_node_ends_every_camera(happenings in prop::collection::vec(happening(), 0..40), after in prop::collection::vec(happening(), 0..10)) {
        let mut life = Life::new();
        for happening in happenings {
            happening.to(&mut life);
        }
        life.step(Input::Shutdown);
        for happening in after {
            happening.to(&mut life);
        }
        life.settle();
        prop_assert!(life.machine.is_gone(), "{life:?}");
    }

    #[test]
    fn a_restart_opens_another_session(happenings in prop::collection::vec(happening(), 0..40)) {
        let mut life = Life::new();
        for happening in happenings {
            happening.to(&mut life);
        }
        if life.machine.desired().state != DesiredState::Stopped {
            let mut desired = life.machine.desired();
            desired.restarts += 1;
            let draining = matches!(life.machine.phase, Phase::Draining { .. });
            let mut actions = life.machine.on(Input::Wish(desired));
            if draining {
                actions.extend(life.machine.on(Input::Drained));
            }
            prop_assert!(actions.contains(&Action::Open { anew: true }), "{actions:?}");
        }
    }
}

#[test]
fn a_failing_camera_says_failed_until_a_frame_comes() {
    let mut life = Life::new();
    life.wish(&[Command::Start]);
    assert_eq!(life.machine.actual(), ActualState::Connecting);
    for input in [Input::Failed(failure(true)), Input::Drained] {
        life.step(input);
    }
    assert_eq!(life.machine.actual(), ActualState::Failed);
    life.step(Input::Due);
    assert_eq!(life.machine.actual(), ActualState::Failed, "another attempt is no success");
    life.step(Input::Streaming);
    assert_eq!((life.machine.actual(), life.machine.reason()), (ActualState::Running, None));
    life.step(Input::Picture(Some(Condition::Frozen)));
    assert_eq!(life.machine.reason().map(|reason| reason.code), Some(Condition::Frozen.code().into()));
}
