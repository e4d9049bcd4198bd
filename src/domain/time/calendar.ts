/** A date of the Gregorian calendar. */
export interface CivilDate {
  readonly year: number;
  /** 1 to 12. */
  readonly month: number;
  /** 1 to 31. */
  readonly day: number;
}

/**
 * The date of a day, counted from 1970-01-01. Reckoned here because the first `Date` of a process looks for the machine's
 * time zone, which takes longer than all else that a listing of backups does.
 * Years are counted from 1 March, so that the day that leap years have more is a year's last.
 */
export function civilDateOf(dayOfEpoch: number): CivilDate {
  const DAYS_OF_400_YEARS = 146_097;
  const day = dayOfEpoch + DAYS_FROM_YEAR_0_TO_1970;
  const era = Math.floor(day / DAYS_OF_400_YEARS);
  const dayOfEra = day - era * DAYS_OF_400_YEARS;
  const leapDaysBefore = Math.trunc(dayOfEra / 1460) - Math.trunc(dayOfEra / 36_524) + Math.trunc(dayOfEra / 146_096);
  const yearOfEra = Math.trunc((dayOfEra - leapDaysBefore) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.trunc(yearOfEra / 4) - Math.trunc(yearOfEra / 100));
  const monthFromMarch = Math.trunc((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return {
    year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.trunc((153 * monthFromMarch + 2) / 5) + 1,
  };
}

/** The day of the week of a day counted from 1970-01-01: 0 is Sunday. */
export function weekdayOf(dayOfEpoch: number): number {
  const THURSDAY = 4;
  return (((dayOfEpoch + THURSDAY) % 7) + 7) % 7;
}

/** From 1 March of the year 0. */
const DAYS_FROM_YEAR_0_TO_1970 = 719_468;
