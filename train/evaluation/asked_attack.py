"""PGD as a user asks for it: the config's settings, and those that are given."""

import dataclasses

from train.base.errors import UserError
from train.evaluation.batch_attack import PgdAttack
from train.evaluation.judgement import Options
from train.evaluation.target import Target
from train.recipes.attack import check_epsilon


def of_target(target: Target, options: Options) -> PgdAttack:
    """The attack; with 0 restarts there is none.

    Raises:
      UserError: its epsilon does not fit the images, or there is no attack and an
        option is given that would have no effect.
    """
    given = options.given()
    settings = {field.name for field in dataclasses.fields(PgdAttack)}
    changed = {name: value for name, value in given.items() if name in settings}
    attack = dataclasses.replace(PgdAttack.of(target.config), **changed)
    if attack.restarts:
        check_epsilon("epsilon", attack.norm, attack.epsilon, target.data.image_shape)
    elif ignored := [f"--{name}" for name in given if name != "restarts"]:
        raise UserError(
            f"{' and '.join(ignored)} would have no effect: with restarts=0 no attack "
            "is made; --restarts=1 makes one"
        )
    return attack


def seed(target: Target, options: Options) -> int:
    """Of the attack's random starts."""
    return target.config.seed if options.seed is None else options.seed
